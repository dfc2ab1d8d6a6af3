//! The `control` table: the launcher's own settings.
use crate::problems::Problems;
use crate::rules;
use crate::value::{Place, Table};
use record::{Control, Engine, Liveness, Restart, Rung};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use text::nearest;

/// All keys of `control`.
pub(crate) const KEYS: [&str; 25] = [
    "enabled",
    "background",
    "log_file",
    "log_dir",
    "log_max_mib",
    "log_keep",
    "gpu_ids",
    "share_gpu",
    "restart",
    "max_restarts",
    "backoff_ms",
    "ready_rung",
    "known_answer",
    "ready_timeout_s",
    "stall_timeout_s",
    "stop_timeout_s",
    "list_style",
    "offline",
    "via_pixi",
    "liveness",
    "liveness_period_s",
    "liveness_failures",
    "idle_stop_s",
    "watch_egress",
    "allow",
];

/// What `control` says: the part that goes on the wire, and the part that is used up here.
#[derive(Debug)]
pub struct Settings {
    /// The instance is to run.
    pub enabled: bool,
    /// The file of its log.
    pub log_file: Option<PathBuf>,
    /// The folder of its log, where no file is named.
    pub log_dir: Option<PathBuf>,
    /// What goes on the wire.
    pub control: Control,
}

impl Settings {
    /// What holds where the table says nothing.
    #[must_use]
    pub fn default_of(engine: Engine) -> Self {
        let profile = engine::of(engine);
        let control = Control {
            background: true,
            log_max_mib: 64,
            log_keep: 3,
            gpu_ids: "all".to_owned(),
            share_gpu: false,
            restart: Restart::OnFailure,
            max_restarts: 5,
            backoff_ms: 1000,
            ready_rung: Rung::Answering,
            known_answer: None,
            ready_timeout_s: 3600,
            stall_timeout_s: profile.stall_timeout_s,
            stop_timeout_s: profile.stop_timeout_s,
            list_style: None,
            offline: true,
            via_pixi: false,
            liveness: Liveness::Health,
            liveness_period_s: 30,
            liveness_failures: 5,
            idle_stop_s: None,
            watch_egress: false,
            allow: Vec::new(),
        };
        Self { enabled: true, log_file: None, log_dir: None, control }
    }
}

/// Thirty days: no patience needs to be longer, and no arithmetic overflows below it.
const LONGEST_S: u64 = 30 * 86_400;

/// The keys that take a whole number, and the least and the most that it may be.
pub(crate) const NUMBERS: [(&str, u64, u64); 10] = [
    ("log_max_mib", 1, 1 << 20),
    ("log_keep", 0, 1000),
    ("max_restarts", 0, 1_000_000),
    ("backoff_ms", 0, 60_000),
    ("ready_timeout_s", 1, LONGEST_S),
    ("stall_timeout_s", 1, LONGEST_S),
    ("stop_timeout_s", 0, LONGEST_S),
    ("liveness_period_s", 1, 86_400),
    ("liveness_failures", 1, 1000),
    ("idle_stop_s", 0, LONGEST_S),
];

/// The keys that take one of a few words, the default first.
pub(crate) const WORDS: [(&str, &[&str]); 4] = [
    ("restart", &["on-failure", "always", "never"]),
    ("ready_rung", &["answering", "correct", "listed", "healthy"]),
    ("liveness", &["off", "health", "answer"]),
    ("list_style", &["repeat"]),
];

fn range_of(key: &str) -> RangeInclusive<u64> {
    let found = NUMBERS.iter().find(|(name, ..)| *name == key);
    found.map_or(0..=u64::MAX, |&(_, least, most)| least..=most)
}

fn words_of(key: &str) -> &'static [&'static str] {
    WORDS.iter().find(|(name, _)| *name == key).map_or(&[], |(_, words)| words)
}

pub(crate) fn read(table: &Table, engine: Engine, problems: &mut Problems<'_>) -> Settings {
    problems.only_known(Some("control"), table, &KEYS);
    let Settings { control: default, .. } = Settings::default_of(engine);
    let mut number = |key, default| problems.number(table, key, range_of(key)).unwrap_or(default);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let log_max_mib = number("log_max_mib", default.log_max_mib);
    let log_keep = small(number("log_keep", default.log_keep.into()));
    let max_restarts = small(number("max_restarts", default.max_restarts.into()));
    let backoff_ms = number("backoff_ms", default.backoff_ms);
    let ready_timeout_s = number("ready_timeout_s", default.ready_timeout_s);
    let stall_timeout_s = number("stall_timeout_s", default.stall_timeout_s);
    let stop_timeout_s = number("stop_timeout_s", default.stop_timeout_s);
    let liveness_period_s = number("liveness_period_s", default.liveness_period_s);
    let liveness_failures = small(number("liveness_failures", default.liveness_failures.into()));
    let idle_stop_s = number("idle_stop_s", 0);
    let mut flag = |key, default| problems.flag(table, "control", key, default);
    let enabled = flag("enabled", true);
    let background = flag("background", default.background);
    let share_gpu = flag("share_gpu", default.share_gpu);
    let offline = flag("offline", default.offline);
    let via_pixi = flag("via_pixi", default.via_pixi);
    let watch_egress = flag("watch_egress", default.watch_egress);
    let restart = match problems.one_of(table, "restart", words_of("restart")) {
        Some("never") => Restart::Never,
        _ => Restart::OnFailure,
    };
    let (ready_rung, known_answer) = read_rung(table, problems);
    let liveness = read_liveness(table, problems);
    let list_style = problems.one_of(table, "list_style", words_of("list_style")).map(str::to_owned);
    let gpu_ids = read_gpu_ids(table, problems).unwrap_or(default.gpu_ids);
    let allow = read_allow(table, problems);
    let log_file = problems.path(table, "control", "log_file");
    let log_dir = problems.path(table, "control", "log_dir");
    let control = Control {
        background,
        log_max_mib,
        log_keep,
        gpu_ids,
        share_gpu,
        restart,
        max_restarts,
        backoff_ms,
        ready_rung,
        known_answer,
        ready_timeout_s,
        stall_timeout_s,
        stop_timeout_s,
        list_style,
        offline,
        via_pixi,
        liveness,
        liveness_period_s,
        liveness_failures,
        idle_stop_s: (idle_stop_s > 0).then(|| small(idle_stop_s)),
        watch_egress,
        allow,
    };
    Settings { enabled, log_file, log_dir, control }
}

fn read_liveness(table: &Table, problems: &mut Problems<'_>) -> Liveness {
    match problems.one_of(table, "liveness", words_of("liveness")) {
        Some("off") => Liveness::Off,
        Some("answer") => Liveness::Answer,
        _ => Liveness::Health,
    }
}

/// The rung at which it counts as ready, and the file that the highest of them needs.
fn read_rung(table: &Table, problems: &mut Problems<'_>) -> (Rung, Option<PathBuf>) {
    let rung = match problems.one_of(table, "ready_rung", words_of("ready_rung")) {
        Some("healthy") => Rung::Healthy,
        Some("listed") => Rung::Listed,
        Some("correct") => Rung::Correct,
        _ => Rung::Answering,
    };
    let known_answer = problems.path(table, "control", "known_answer");
    if rung == Rung::Correct && known_answer.is_none() {
        let place = table.get("ready_rung").map_or(Place::Overrides, |node| node.place);
        let hint = "write the answers with ichat --record FILE where the model is whole, and set known_answer to the file";
        problems.at(
            place,
            "control.ready_rung is 'correct', and known_answer is not set",
            Some(hint.to_owned()),
        );
    }
    (rung, known_answer)
}

/// `all`, `none`, or ids joined by commas, without the spaces that CUDA would stumble over.
fn read_gpu_ids(table: &Table, problems: &mut Problems<'_>) -> Option<String> {
    let text = problems.text(table, "control", "gpu_ids")?;
    let place = table.get("gpu_ids").map_or(Place::Overrides, |node| node.place);
    let ids: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_id = |id: &str| {
        let uuid = id.strip_prefix("GPU-").or_else(|| id.strip_prefix("MIG-"));
        let uuid_like = |rest: &str| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit() || "-/GPU".contains(c))
        };
        uuid.is_some_and(uuid_like) || (!id.is_empty() && id.chars().all(|c| c.is_ascii_digit()))
    };
    let twice = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id));
    if let Some((_, id)) = twice {
        problems.at(place, format!("control.gpu_ids names '{id}' twice"), None);
    } else if !matches!(ids[..], ["all" | "none"]) && !ids.iter().all(|id| is_id(id)) {
        let hint = "it is \"all\", \"none\", or ids joined by commas: \"0,1\" or \"GPU-…,GPU-…\"";
        problems.at(place, format!("control.gpu_ids is '{text}'"), Some(hint.to_owned()));
    }
    Some(ids.join(","))
}

fn read_allow(table: &Table, problems: &mut Problems<'_>) -> Vec<String> {
    let (named, known) = (problems.texts(table, "allow"), rules::all());
    for (place, id) in &named {
        if !known.contains(&id.as_str()) {
            let hint = match nearest(id.as_str(), known.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("the rules are {}", known.join(", ")),
            };
            problems.at(*place, format!("control.allow names no rule '{id}'"), Some(hint));
        }
    }
    named.into_iter().map(|(_, id)| id).collect()
}
