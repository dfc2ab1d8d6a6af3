//! How fast it is, with one chat and with several at once.
use crate::kit::{Fake, Keeping, free_port};
use crate::pipeline::sandbox_with_engine;

#[test]
fn the_real_engine_is_measured_with_one_chat_and_with_several() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe").exits(0));
    let levels = sandbox.sh("ichat --instance tiny0 --bench --max-tokens 16").exits(0).all("bench");
    drop(sandbox.sh("istop").exits(0));
    let number =
        |of: &serde_json::Value, name: &str| of[name].as_f64().unwrap_or_else(|| panic!("{name}: {of}"));
    let concurrency: Vec<f64> = levels.iter().map(|level| number(level, "concurrency")).collect();
    assert_eq!(concurrency, [1.0, 2.0, 4.0, 8.0]);
    for level in &levels {
        assert_eq!((&level["engine"], &level["instance"]), (&"llama-cpp".into(), &"tiny0".into()));
        assert!(level["model"].as_str().unwrap().ends_with("tiny.gguf"), "{level}");
        assert!(number(level, "completion_tokens") <= 16.0 * number(level, "concurrency"), "{level}");
        let (median, max) = (number(level, "ttft_median_ms"), number(level, "ttft_max_ms"));
        assert!(0.0 < median && median <= max && max <= number(level, "duration_ms"), "{level}");
        let rate = number(level, "completion_tokens") / number(level, "duration_ms") * 1e3;
        assert!((number(level, "tokens_per_second") - rate).abs() < 0.01 * rate + 0.01, "{level}");
    }
}

#[test]
fn a_server_that_does_not_answer_all_is_a_failure_without_figures() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").says("healthy", "").launched();
    let silent = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    fake.now_says("stream", &format!("{silent}\n\ndata: [DONE]\n\n"));
    let output = keeping.sandbox.sh(&format!("ichat --url {} --bench Hello", fake.url())).exits(1);
    assert!(output.stdout.is_empty() && output.stderr.contains("ended without a word"), "{output:?}");
}
