//! Ports over loopback.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::*;
use crate::{
    http::tests::ask,
    plan::operation::{Family, Protocol},
};

const BOTH: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn checks() -> HealthChecks {
    HealthChecks::new(Arc::new(Health::new(Duration::from_secs(60))))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

/// A port that nobody has in either family.
fn free_port() -> u16 {
    for _ in 0..100 {
        let v4 = TcpListener::bind((BOTH[0], 0)).expect("a port");
        let port = v4.local_addr().expect("bound").port();
        if TcpListener::bind((BOTH[1], port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free in both families");
}

/// Follows Services with their ports and numbers of ready endpoints; what is wrong now.
fn follow(
    checks: &mut HealthChecks,
    services: &[(&str, u16, usize)],
    at: &[IpAddr],
) -> Vec<String> {
    let keys: Vec<_> = services.iter().map(|(name, ..)| key(name)).collect();
    let all = keys
        .iter()
        .zip(services)
        .map(|(key, (_, port, ready))| (key, HealthCheck { port: *port, ready: *ready }, None));
    let problems = checks.follow(all, &at.iter().copied().collect());
    problems.iter().map(ToString::to_string).collect()
}

async fn answer(ip: IpAddr, port: u16) -> String {
    let answer = ask(SocketAddr::new(ip, port), "GET", "/any/path").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert!(head.contains("x-load-balancing-endpoint-weight: "), "{head}");
    format!("{} {body}", &head[9..12])
}

async fn until_closed(ip: IpAddr, port: u16) {
    let closed = tokio::time::timeout(Duration::from_secs(10), async {
        while tokio::net::TcpStream::connect((ip, port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    closed.await.expect("the port is closed");
}

#[tokio::test]
async fn a_port_follows_its_service_in_both_families() {
    let (mut checks, port) = (checks(), free_port());
    for ready in [0, 2, 1, 0] {
        assert!(follow(&mut checks, &[("web", port, ready)], &BOTH).is_empty());
        let code = if ready == 0 { 503 } else { 200 };
        let name = r#"{"namespace":"ns","name":"web"}"#;
        let expected = format!(
            r#"{code} {{"service":{name},"localEndpoints":{ready},"serviceProxyHealthy":true}}"#
        );
        for ip in BOTH {
            assert_eq!(answer(ip, port).await, expected, "{ip}");
        }
    }
    assert!(follow(&mut checks, &[], &BOTH).is_empty());
    until_closed(BOTH[0], port).await;
    until_closed(BOTH[1], port).await;
}

#[tokio::test]
async fn a_service_moves_to_another_port_and_another_takes_its_own() {
    let (mut checks, [old, new]) = (checks(), [free_port(), free_port()]);
    follow(&mut checks, &[("a", old, 1)], &BOTH);
    assert!(follow(&mut checks, &[("a", new, 1), ("b", old, 1)], &BOTH).is_empty());
    assert!(answer(BOTH[0], new).await.contains(r#""name":"a""#));
    assert!(answer(BOTH[1], old).await.contains(r#""name":"b""#));
}

#[tokio::test]
async fn addresses_come_and_go() {
    let (mut checks, port) = (checks(), free_port());
    follow(&mut checks, &[("web", port, 1)], &BOTH[..1]);
    assert!(tokio::net::TcpStream::connect((BOTH[1], port)).await.is_err());
    follow(&mut checks, &[("web", port, 1)], &BOTH[1..]);
    assert!(answer(BOTH[1], port).await.starts_with("200"));
    until_closed(BOTH[0], port).await;
}

#[tokio::test]
async fn a_taken_port_is_named_once_and_tried_again_while_others_answer() {
    let (mut checks, [taken, free]) = (checks(), [free_port(), free_port()]);
    let holder = TcpListener::bind((BOTH[0], taken)).expect("bound");
    let services = [("a", taken, 1), ("b", free, 1)];
    let problems = follow(&mut checks, &services, &BOTH);
    let start = format!(
        "Service ns/a, spec.healthCheckNodePort: not answered at 127.0.0.1, port {taken}: "
    );
    assert!(problems.len() == 1 && problems[0].starts_with(&start), "{problems:?}");
    assert!(answer(BOTH[0], free).await.starts_with("200"));
    assert!(answer(BOTH[1], taken).await.starts_with("200"), "in the other family");
    assert!(checks.retry_at().is_some());
    assert!(follow(&mut checks, &services, &BOTH).is_empty(), "it was told");
    drop(holder);
    assert!(follow(&mut checks, &services, &BOTH).is_empty());
    assert!(answer(BOTH[0], taken).await.starts_with("200"));
    assert_eq!(checks.retry_at(), None);
}

#[test]
fn a_port_is_a_node_ports_first_and_then_the_least_services() {
    let [a, b, c] = ["a", "b", "c"].map(key);
    let check = |port| HealthCheck { port, ready: 1 };
    let owner = ServicePort {
        namespace: "ns".into(),
        name: "shop".into(),
        port_name: "http".into(),
        protocol: Protocol::Tcp,
        family: Family::V4,
    };
    let all = [(&a, check(1), None), (&b, check(1), None), (&c, check(2), Some(&owner))];
    let (wanted, problems) = share_out(all.into_iter());
    assert_eq!(wanted.into_iter().collect::<Vec<_>>(), [(1, (a.clone(), 1))]);
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "Service ns/b, spec.healthCheckNodePort: port 1 is not answered: it is that of \
             Service ns/a",
            "Service ns/c, spec.healthCheckNodePort: port 2 is not answered: it is the NodePort of \
             ns/shop http/TCP IPv4",
        ]
    );
}
