//! The official SDKs, through the bridge to the real engine.
use super::{SENTENCE, served};
use crate::kit::{clients, free_port};
use std::process::Command;

/// Every call that clients build on, by both SDKs, stream and not; prints what came.
const ASK: &str = r#"
import sys, anthropic, openai
base, user = sys.argv[1], [{"role": "user", "content": "Hello"}]
client = anthropic.Anthropic(base_url=base, api_key="x", max_retries=0)
ask = dict(model="claude-opus-4-6", max_tokens=40, messages=user)
message = client.messages.create(**ask)
print("create", message.content[0].text, message.stop_reason)
with client.messages.stream(**ask) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
print("stream", text, final.stop_reason, final.usage.output_tokens == message.usage.output_tokens)
tool = dict(name="now", description="The time", input_schema=dict(type="object", properties=dict(zone=dict(type="string"))))
with client.messages.stream(**ask, tools=[tool], system="Be brief.") as stream:
    print("tools", stream.get_final_message().content[0].text)
print("count", client.messages.count_tokens(model=ask["model"], messages=user).input_tokens)
print("models", [model.id for model in client.models.list()])
try:
    client.messages.create(**{**ask, "model": "gpt-5"})
except anthropic.NotFoundError as error:
    print("error", error.body["error"]["type"])
client = openai.OpenAI(base_url=base + "/v1", api_key="x", max_retries=0)
print("chat", client.chat.completions.create(model="tiny", messages=user).choices[0].message.content)
chunks = client.chat.completions.create(model="tiny", messages=user, stream=True)
print("chunks", "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
print("responses", client.responses.create(model="tiny", input="Hello").output_text)
print("models", [model.id for model in client.models.list()])
"#;

#[test]
fn the_official_sdks_use_the_bridge_unchanged_native_and_translated() {
    let Some(sdks) = clients("sdks") else { return };
    let port = free_port();
    for mode in ["native", "translate"] {
        let (sandbox, front) = served(&[port], &["--mode", mode]);
        let script = sandbox.write("ask.py", ASK);
        let url = format!("http://127.0.0.1:{}", front.port);
        let output = sandbox.finish(Command::new(sdks.join("bin/python")).arg(script).arg(&url)).exits(0);
        let said = output.stdout.replace(SENTENCE, "(it)");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @r"
            create (it) end_turn
            stream (it) end_turn True
            tools (it)
            count 9
            models ['tiny']
            error not_found_error
            chat (it)
            chunks (it)
            responses (it)
            models ['tiny']
            ");
        }
        drop(sandbox.sh("istop").exits(0));
    }
}
