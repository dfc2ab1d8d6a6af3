//! `--explain` and `--export`.
use super::with;
use crate::kit::Sandbox;
use insta::assert_snapshot;
use serde_json::Value;

#[test]
fn explain_shows_value_origin_and_what_was_overridden_and_no_secret() {
    let sandbox = with(&[
        ("SGLANG_BUNDLE_PATH", "/media/sglang.tar"),
        ("SGLANG_PROJECT_DIR", "/srv/sglang"),
        ("SGLANG_OVERRIDES", r#"{"instance":{"server":{"api_key":"hunter2"}}}"#),
        ("SGLANG_CACHE_ROOT", "/cache"),
        ("SGLANG_ON_BOOT", "1"),
        ("BOOT_FAILURE", "stop"),
        ("WORKSPACE_DIR", "/srv/w"),
        ("RUN_DIR", "/srv/run"),
    ]);
    // What the run directory overrode, and the user, are this machine's.
    let command = "ienv --boot --explain --road cache sglang llama-cpp | grep -v -e run_dir -e ' user '";
    assert_snapshot!(sandbox.sh(command).transcript(), @r#"
    all engines
      field             value                origin                                overrode
      workspace         /srv/w               AUTO_INFER_WORKSPACE_DIR              /offline-data
      log_dir           /srv/w/logs          default: AUTO_INFER_LOG_DIR
      engine_cache_dir  /srv/w/engine-cache  default: AUTO_INFER_ENGINE_CACHE_DIR
      boot_failure      stop                 AUTO_INFER_BOOT_FAILURE               continue
      lenient_config    0                    default: AUTO_INFER_LENIENT_CONFIG
      boot_wait         1                    default: AUTO_INFER_BOOT_WAIT
      log               warn                 default: INFER_DEV_LOG
      keep              -                    unset: INFER_DEV_KEEP

    llama-cpp: skipped, no ON_BOOT variable asks for it
      field            value  origin                                         overrode
      get_pkg_on_boot  0      default: AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT
      on_boot          0      default: AUTO_INFER_LLAMA_CPP_ON_BOOT

    sglang
      field                          value                        origin                                         overrode
      cache_warm_on_boot             0                            default: AUTO_INFER_SGLANG_CACHE_WARM_ON_BOOT
      install_on_boot                0                            default: AUTO_INFER_SGLANG_INSTALL_ON_BOOT
      bundle_on_boot                 0                            default: AUTO_INFER_SGLANG_BUNDLE_ON_BOOT
      on_boot                        1                            AUTO_INFER_SGLANG_ON_BOOT                      0
      template_dir                   -                            unset: AUTO_INFER_SGLANG_TEMPLATE_DIR
      bundle                         /media/sglang.tar            AUTO_INFER_SGLANG_BUNDLE_PATH
      sha256                         -                            unset: AUTO_INFER_SGLANG_BUNDLE_SHA256
      project_dir                    /srv/sglang                  AUTO_INFER_SGLANG_PROJECT_DIR                  /srv/w/sglang-infer
      pixi_env                       default                      default: AUTO_INFER_SGLANG_PIXI_ENV
      pixi_unpack                    -                            unset: AUTO_INFER_SGLANG_PIXI_UNPACK_BIN
      python                         -                            unset: AUTO_INFER_SGLANG_PYTHON
      force                          0                            default: AUTO_INFER_SGLANG_FORCE_RECOPY
      road                           cache                        --road                                         bundle (AUTO_INFER_SGLANG_BUNDLE_PATH)
      cache_root                     /cache                       AUTO_INFER_SGLANG_CACHE_ROOT                   /srv/w/.cache/sglang-infer
      cache_layout                   split                        default
      conda_pkgs_dir                 /cache/conda/rattler/pkgs    default
      uv_cache_dir                   /cache/pypi/uv               default
      config                         -                            unset: AUTO_INFER_SGLANG_CONFIG
      overrides_variable             AUTO_INFER_SGLANG_OVERRIDES  AUTO_INFER_SGLANG_OVERRIDES
      PIP_CACHE_DIR                  /cache/pypi/pip              for pixi
      PIXI_CACHE_CONDA_PACKAGES_DIR  /cache/conda/rattler/pkgs    for pixi
      PIXI_CACHE_DIR                 /cache/conda/rattler         for pixi
      PIXI_CACHE_PYPI_WHEELS_DIR     /cache/pypi/uv               for pixi
      RATTLER_CACHE_DIR              /cache/conda/rattler         for pixi
      UV_CACHE_DIR                   /cache/pypi/uv               for pixi
      XDG_CACHE_HOME                 /cache/xdg                   for pixi
    "#);
}

#[test]
fn explain_and_export_of_a_bad_variable_fail_without_a_record() {
    let sandbox = with(&[("VLLM_CONFIG", "relative")]);
    let output = sandbox.sh("ienv --explain vllm").exits(69);
    assert!(output.stdout.contains("\nvllm: failed\n") && !output.stdout.contains('{'), "{}", output.stdout);
    assert!(output.stdout.contains(" AUTO_INFER_VLLM_CONFIG, refused\n"), "{}", output.stdout);
    assert!(output.stderr.starts_with("ienv: cannot use AUTO_INFER_VLLM_CONFIG: "), "{}", output.stderr);
    let output = sandbox.sh("ienv --export vllm").exits(69);
    assert_eq!(output.stdout, "", "half of the exports are worse than none");
}

#[test]
fn exports_survive_eval_whatever_is_in_them() {
    let odd = "/w o'r\"k $HOME `id` \\ \n*";
    let mut sandbox = with(&[("SGLANG_OVERRIDES", r#"{"k":"hunter2"}"#), ("SGLANG_CONFIG", odd)]);
    sandbox.set("WANTED", odd);
    let check = r#"
        exports=$(ienv --export sglang)
        case $exports in *hunter2*) exit 9 ;; esac
        unset AUTO_INFER_SGLANG_CONFIG AUTO_INFER_WORKSPACE_DIR
        eval "$exports"
        [ "$AUTO_INFER_SGLANG_CONFIG" = "$WANTED" ]
        env | grep -E '^(PIXI|RATTLER|UV|PIP|XDG)_|SGLANG_PIXI_ENV|WORKSPACE' | sort
        eval "$(ienv --export --online sglang)"
        echo "${PIXI_OFFLINE-online}"
    "#;
    assert_snapshot!(sandbox.sh(check).transcript(), @r#"
    AUTO_INFER_SGLANG_PIXI_ENV=default
    AUTO_INFER_WORKSPACE_DIR=$SANDBOX/w
    PIP_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/pip
    PIXI_CACHE_CONDA_PACKAGES_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler/pkgs
    PIXI_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler
    PIXI_CACHE_PYPI_WHEELS_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/uv
    PIXI_NO_CONFIG=1
    PIXI_OFFLINE=1
    RATTLER_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/conda/rattler
    UV_CACHE_DIR=$SANDBOX/w/.cache/sglang-infer/pypi/uv
    XDG_CACHE_HOME=$SANDBOX/w/.cache/sglang-infer/xdg
    online
    "#);
    let again =
        sandbox.sh(r#"ienv sglang > a; eval "$(ienv --export sglang)"; ienv sglang > b; cat a b"#).exits(0);
    let fields = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["origin"].take();
        record
    };
    let records: Vec<Value> = again.stdout.lines().map(fields).collect();
    assert_eq!(records[0], records[1], "what was exported resolves to the same");
}

#[test]
fn exports_of_two_pixi_engines_are_refused() {
    let output = Sandbox::new().sh("ienv --export").exits(2);
    assert_snapshot!(output.transcript(), @r#"
    -- stderr --
    ienv: cannot export two engines at once: pixi's variables are not the same for vllm and sglang
    ienv: hint: name one engine, as in: ienv --export sglang
    [exit 2]
    "#);
    Sandbox::new().sh("ienv --export llama-cpp vllm bridge").exits(0).transcript();
    Sandbox::new().sh("ienv --export --explain").exits(2).transcript();
}
