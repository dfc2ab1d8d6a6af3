//! What an engine would look for on the network, or on this machine in vain, once it has loaded for minutes.
//!
//! Each rule is a row of [`RULES`]: to add one, write its test and its row, and name it in infer-dev(5).
mod facts;

use crate::draft::Draft;
use child::User;
use config::rules;
use facts::Facts;
use failure::{Code, Failure};
use record::Engine;
use std::collections::BTreeMap;

/// One rule.
struct Rule {
    /// For `control.allow`.
    id: &'static str,
    engines: &'static [Engine],
    /// The first version of the engine that it does not hold for; empty: it holds for all.
    before: &'static str,
    /// What was found; `None` where all is well, or where that is not known.
    test: fn(&Facts<'_>) -> Option<String>,
    /// The instance is not started.
    stops: bool,
    /// What to do.
    hint: &'static str,
    /// Where it is reported.
    source: &'static str,
}

const PYTHON: &[Engine] = &[Engine::Vllm, Engine::Sglang];
const ALL: &[Engine] = &[Engine::LlamaCpp, Engine::Vllm, Engine::Sglang];

const RULES: [Rule; 11] = [
    Rule {
        id: rules::TIKTOKEN,
        engines: &[Engine::Vllm],
        before: "",
        test: facts::tiktoken,
        stops: true,
        hint: "put o200k_base.tiktoken and cl100k_base.tiktoken into a folder, and set TIKTOKEN_ENCODINGS_BASE to it in [instance.env]",
        source: "https://github.com/vllm-project/vllm/issues/22525",
    },
    Rule {
        id: rules::TIKTOKEN,
        engines: &[Engine::Sglang],
        before: "",
        test: facts::tiktoken,
        stops: false,
        hint: "put o200k_base.tiktoken and cl100k_base.tiktoken into a folder, and set TIKTOKEN_ENCODINGS_BASE to it in [instance.env]",
        source: "https://github.com/openai/harmony/issues/101",
    },
    Rule {
        id: rules::FLASHINFER,
        engines: PYTHON,
        before: "",
        test: facts::flashinfer,
        stops: false,
        hint: "lock the same version of flashinfer-python, flashinfer-cubin and flashinfer-jit-cache: others are ignored, and kernels are then fetched or compiled at the first use",
        source: "https://github.com/flashinfer-ai/flashinfer/issues/2941",
    },
    Rule {
        id: rules::COMPILER,
        engines: PYTHON,
        before: "",
        test: facts::compiler,
        stops: false,
        hint: "add cuda-nvcc and ninja to the environment: this engine compiles kernels at its start",
        source: "https://github.com/flashinfer-ai/flashinfer/issues/2093",
    },
    Rule {
        id: rules::CUDNN,
        engines: &[Engine::Sglang],
        before: "0.5.10",
        test: facts::cudnn,
        stops: true,
        hint: "lock nvidia-cudnn-cu12 9.16 or newer; SGLANG_DISABLE_CUDNN_CHECK = \"1\" in [instance.env] takes the risk",
        source: "https://github.com/sgl-project/sglang/pull/14119",
    },
    Rule {
        id: rules::DRIVER,
        engines: PYTHON,
        before: "",
        test: facts::driver,
        stops: true,
        hint: "install a newer driver, or an environment with an older CUDA",
        source: "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/",
    },
    Rule {
        id: rules::SHM,
        engines: PYTHON,
        before: "",
        test: facts::shm,
        stops: false,
        hint: "give the container more, as in: docker run --shm-size 16g",
        source: "https://docs.vllm.ai/en/latest/deployment/docker.html",
    },
    Rule {
        id: rules::MODEL_NOT_LOCAL,
        engines: ALL,
        before: "",
        test: facts::remote_names,
        stops: false,
        hint: "name each by its absolute path: offline it is found only if the engine's own cache has it",
        source: "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables",
    },
    Rule {
        id: rules::OWN_CODE,
        engines: PYTHON,
        before: "",
        test: facts::own_code,
        stops: false,
        hint: "if this engine does not know the architecture, read the code and set trust_remote_code = true",
        source: "https://docs.vllm.ai/en/latest/models/supported_models.html",
    },
    Rule {
        id: rules::PORT_PRIVILEGED,
        engines: ALL,
        before: "",
        test: facts::port_privileged,
        stops: true,
        hint: "choose a port from 1024 on",
        source: "https://docs.kernel.org/networking/ip-sysctl.html",
    },
    Rule {
        id: rules::LOG_SPACE,
        engines: ALL,
        before: "",
        test: facts::log_space,
        stops: false,
        hint: "make room there, or set log_max_mib and log_keep to less",
        source: "infer-dev(5)",
    },
];

/// Check the drafts that are to be started.
pub(crate) fn check(drafts: &mut [&mut Draft], caller: &BTreeMap<String, String>) {
    for draft in drafts.iter_mut().filter(|draft| !draft.plan.reused) {
        check_one(draft, caller);
    }
}

/// Check a draft by all rules, with the rights of the user who serves.
fn check_one(draft: &mut Draft, caller: &BTreeMap<String, String>) {
    let plan = draft.plan.clone();
    // That there is no such user is said elsewhere.
    let Ok(user) = User::other(plan.user.as_deref(), &variables::user(plan.engine)) else { return };
    let gpus = draft.gpus_needed;
    let look = || {
        let facts = Facts::of(&plan, gpus, caller);
        let holds = |rule: &&Rule| rule.engines.contains(&plan.engine) && facts.is_before(rule.before);
        let found = |rule: &'static Rule| Some((rule, (rule.test)(&facts)?));
        RULES.iter().filter(holds).filter_map(found).collect::<Vec<_>>()
    };
    let found = match &user {
        Some(user) => user.act(look).unwrap_or_default(),
        None => look(),
    };
    for (rule, what) in found {
        let hint = format!("{} (see {})", rule.hint, rule.source);
        if rule.stops {
            let about = format!("{} {} would not serve", plan.engine, plan.instance);
            draft.object(rule.id, Failure::new(Code::Unmet, about, what).hint(hint));
        } else {
            draft.warn(rule.id, format!("{} {}: {what}", plan.engine, plan.instance), &hint);
        }
    }
}
