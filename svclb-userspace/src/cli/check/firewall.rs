//! Netfilter rules that stand in svclb's way.

use std::{io, process::Command};

use serde::Deserialize;

use super::{Finding, Grade};

const FORWARD: &str = "FORWARD policy";
const KUBE_PROXY: &str = "kube-proxy, rules";

/// The output of `nft --json list chains`.
#[derive(Deserialize)]
struct Ruleset {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    chain: Option<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    policy: Option<String>,
}

pub(super) fn findings() -> Vec<Finding> {
    match chains() {
        Ok(chains) => vec![judge_forward(&chains), judge_kube_proxy(&chains)],
        Err(error) => vec![
            Finding::new(FORWARD, Grade::Unknown, &error),
            Finding::new(KUBE_PROXY, Grade::Unknown, error),
        ],
    }
}

/// All chains of nftables, which includes those of iptables where it is built upon nftables.
fn chains() -> Result<Vec<Chain>, String> {
    let output = Command::new("nft").args(["--json", "list", "chains"]).output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "nft is not in PATH".to_owned(),
        _ => format!("nft: {error}"),
    })?;
    if !output.status.success() {
        return Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    parse(&output.stdout)
}

fn parse(json: &[u8]) -> Result<Vec<Chain>, String> {
    let ruleset: Ruleset =
        serde_json::from_slice(json).map_err(|error| format!("output of nft: {error}"))?;
    Ok(ruleset.nftables.into_iter().filter_map(|object| object.chain).collect())
}

fn judge_forward(chains: &[Chain]) -> Finding {
    let drops = |chain: &&Chain| {
        chain.hook.as_deref() == Some("forward") && chain.policy.as_deref() == Some("drop")
    };
    match chains.iter().find(drops) {
        None => Finding::new(FORWARD, Grade::Ok, "no chain drops what nobody accepts"),
        Some(Chain { family, table, name, .. }) => {
            let detail = format!(
                "{family} {table} {name} drops what nobody accepts: packets to endpoints need a \
                 rule that lets them through"
            );
            Finding::new(FORWARD, Grade::Warning, detail)
        }
    }
}

fn judge_kube_proxy(chains: &[Chain]) -> Finding {
    let its = |chain: &&Chain| chain.table == "kube-proxy" || chain.name == "KUBE-SERVICES";
    match chains.iter().find(its) {
        None => Finding::new(KUBE_PROXY, Grade::Ok, "none"),
        Some(Chain { family, table, name, .. }) => {
            let detail = format!("{family} {table} {name}: kube-proxy runs, or has left its rules");
            Finding::new(KUBE_PROXY, Grade::Warning, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(chain: &str) -> Vec<Chain> {
        let json = format!(
            r#"{{"nftables": [{{"metainfo": {{"version": "1.0.6"}}}}, {{"chain": {chain}}}]}}"#
        );
        parse(json.as_bytes()).expect("JSON of nft")
    }

    #[test]
    fn a_forward_chain_that_drops_is_named() {
        let chain = r#"{"family": "ip", "table": "filter", "name": "FORWARD", "handle": 2,
                        "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}"#;
        let finding = judge_forward(&parsed(chain));
        assert_eq!(finding.result, Grade::Warning);
        assert!(finding.detail.starts_with("ip filter FORWARD"), "{}", finding.detail);
        let accepts = chain.replace("drop", "accept");
        assert_eq!(judge_forward(&parsed(&accepts)).result, Grade::Ok);
    }

    #[test]
    fn kube_proxy_is_known_by_its_tables_and_chains() {
        let nftables = r#"{"family": "ip6", "table": "kube-proxy", "name": "services"}"#;
        let iptables = r#"{"family": "ip", "table": "nat", "name": "KUBE-SERVICES"}"#;
        let other = r#"{"family": "ip", "table": "nat", "name": "POSTROUTING"}"#;
        let grade = |chain| judge_kube_proxy(&parsed(chain)).result;
        assert_eq!(
            [grade(nftables), grade(iptables), grade(other)],
            [Grade::Warning, Grade::Warning, Grade::Ok]
        );
    }

    #[test]
    fn something_else_than_json_is_no_panic() {
        assert!(parse(b"").is_err());
    }
}
