//! The binary's exit codes and messages, as far as they need no privileges.

use std::{
    io::Read,
    process::{Command, Output, Stdio},
};

fn svclb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svclb"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("KUBERNETES_SERVICE_HOST");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = svclb(arguments).output().expect("svclb starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn wrong_usage_is_code_2() {
    let two_sources = &["run", "--manifests", "/m", "--kubeconfig", "/k"];
    let no_url = &["run", "--api-servers", "192.0.2.1:6443"];
    for arguments in [&["get"][..], &["get", "pods"], &["fly"], &["run"], two_sources, no_url] {
        assert_eq!(run(arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_folder_that_is_no_bpffs_is_code_1_and_says_how_to_mount() {
    for arguments in [&["get", "services", "--bpffs", "/proc"][..], &["unload", "--bpffs", "/proc"]]
    {
        let (code, message) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(message.contains("mount -t bpf"), "{message}");
    }
}

#[test]
fn an_unfit_node_is_code_1_and_every_check_is_printed() {
    let output =
        svclb(&["check", "-o", "json", "--bpffs", "/proc"]).output().expect("svclb starts");
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    let findings = findings.as_array().expect("a list");
    let result_of = |check: &str| {
        let finding = findings.iter().find(|finding| finding["check"] == check);
        finding.and_then(|finding| finding["result"].as_str()).unwrap_or("missing").to_owned()
    };
    assert_eq!(result_of("bpffs"), "fail");
    assert_ne!(result_of("kernel"), "missing");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = svclb(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("svclb starts");
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
    assert_eq!(child.wait().expect("svclb ends").code(), Some(0), "{errors}");
    assert_eq!(errors, "");
}

#[test]
fn a_configuration_that_is_printed_is_valid_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("svclb.yaml");
    let path = file.to_str().expect("UTF-8");
    let printed = svclb(&["config", "print", "--node-name", "n", "--max-flows", "1024"])
        .output()
        .expect("svclb starts");
    let text = String::from_utf8(printed.stdout).expect("text");
    assert!(text.contains("  nodeName: \"n\" # --node-name\n"), "{text}");
    std::fs::write(&file, &text).expect("written");
    assert_eq!(run(&["config", "check", path]), (Some(0), String::new()));
    let again = svclb(&["config", "print", "--config", path, "--node-name", "m"]).output();
    let again = String::from_utf8(again.expect("svclb starts").stdout).expect("text");
    assert!(again.contains("  nodeName: \"m\" # --node-name\n"), "flags win: {again}");
    assert!(again.contains("  maxFlows: 1024 # file\n"), "{again}");
    std::fs::write(&file, text.replace("1024", "1000")).expect("written");
    let (code, message) = run(&["config", "check", path]);
    assert_eq!(code, Some(1));
    assert_eq!(message, format!("svclb: {path}: maps.maxFlows: 1000 is not a power of two\n"));
    assert_eq!(run(&["run", "--config", path]), (Some(1), message));
}

#[test]
fn bad_values_are_refused_with_the_reason_and_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("svclb.yaml");
    let path = file.to_str().expect("UTF-8");
    for (flag, value, section, field, reason) in [
        ("--nodeport-addresses", "none", "traffic", "nodeportAddresses", "neither all"),
        ("--service-cidrs", "10.96.0.0", "traffic", "serviceCidrs", "no range"),
        ("--cluster-cidr", "10.244.0.0/33", "traffic", "clusterCidr", "no range"),
        ("--cluster-cidr", "10.244.0.0/16", "traffic", "clusterCidr", "detectLocal cluster-cidr"),
        ("--pod-interface-prefix", "a/b", "traffic", "podInterfacePrefix", "no device's name"),
        ("--detect-local", "interface", "traffic", "podInterfacePrefix", "missing"),
        ("--masquerade-ports", "30000-40000", "flows", "masqueradePorts", "30000-32767"),
    ] {
        let option = flag.trim_start_matches("--");
        let (code, message) = run(&["run", "--manifests", "/m", flag, value]);
        assert_eq!(code, Some(2), "{flag} {value}: {message}");
        assert!(message.contains(reason) && message.contains(option), "{flag} {value}: {message}");
        let named = if flag == "--detect-local" { "detectLocal" } else { field };
        let text = format!(
            "apiVersion: svclb.io/v1alpha1\nkind: SvclbConfiguration\n{section}: {{{named}: \"{value}\"}}\n"
        );
        std::fs::write(&file, text).expect("written");
        let (code, message) = run(&["config", "check", path]);
        assert_ne!(code, Some(0), "{field}: {value}");
        let told = message.contains(reason) && message.contains(&format!("{section}.{field}: "));
        assert!(told, "{field}: {value}: {message}");
    }
}

#[test]
fn a_question_is_answered_from_a_folder_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().to_str().expect("UTF-8");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
                   spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}\n";
    std::fs::write(folder.path().join("web.yaml"), service).expect("written");
    let explain = |more: &[&str]| {
        let asked = ["explain", "10.244.1.1", "10.96.0.10:80", "--manifests", manifests];
        let rest = ["--node-name", "n", "--bpffs", "/proc"];
        svclb(&[&asked[..], &rest, more].concat()).output().expect("svclb starts")
    };
    let output = explain(&["-o", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["frontend"]["service"], "default/web http/TCP IPv4");
    assert_eq!((&told["verdict"], &told["action"]), (&"no_endpoint".into(), &"reset".into()));
    let table = String::from_utf8(explain(&[]).stdout).expect("text");
    assert!(table.contains("no_endpoint") && table.contains("ClusterIP"), "{table}");
    let families = run(&["explain", "fd00::1", "10.96.0.10:80", "--manifests", manifests]);
    assert_eq!(families.0, Some(2), "{}", families.1);
}
