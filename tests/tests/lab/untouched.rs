//! Traffic that is no service's business: the same packets with and without svclb.

use std::time::Duration;

use anyhow::{Result, ensure};
use svclb_tests::{
    lab::{Family, Pod, Wire},
    packet::{Extension, Packet},
    traffic::udp,
};

use crate::{
    scenario::Scenario,
    world::{PORT, World},
};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario::per_family("other_traffic_is_untouched", same_packets)];

/// Frames as they arrived, by family.
pub(crate) type Captures = Vec<(Family, Vec<Vec<u8>>)>;

/// Pods on one node and on two, backends of services all.
const PAIRS: [(&str, &str); 2] = [("web-2", "web-1"), ("web-2", "web-4")];

/// Sends packets of many kinds between pods and gives them as they arrive.
pub(crate) fn capture(world: &World) -> Result<Captures> {
    Family::BOTH.iter().map(|family| Ok((*family, arrivals(world, *family)?))).collect()
}

fn same_packets(world: &mut World, family: Family) -> Result<()> {
    let now = arrivals(world, family)?;
    let before = world.untouched.iter().find(|(of, _)| *of == family);
    let before = before.map(|(_, frames)| &frames[..]).unwrap_or_default();
    ensure!(before.len() == now.len(), "{} packets before, {} now", before.len(), now.len());
    for (i, (before, now)) in before.iter().zip(&now).enumerate() {
        ensure!(before == now, "packet {i}\nwithout {before:02x?}\nwith    {now:02x?}");
    }
    Ok(())
}

fn arrivals(world: &World, family: Family) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for (from, to) in PAIRS {
        all.extend(between(world.pod(from)?, world.pod(to)?, family)?);
    }
    Ok(all)
}

fn between(client: &Pod, server: &Pod, family: Family) -> Result<Vec<Vec<u8>>> {
    let netns = client.netns()?;
    let out = Wire::open(netns, "eth0")?;
    let inward = Wire::open(server.netns()?, "eth0")?;
    netns.run(|| udp::who(server.socket(family)))?;
    let gateway = netns.next_hop_mac(server.ip.ip(family))?;
    let mut arrived = Vec::new();
    for (i, packet) in packets(client, server, family).into_iter().enumerate() {
        let mark = format!("svclb-untouched-{i:02}");
        let packet = packet.payload(mark.as_bytes()).macs(out.mac(), gateway);
        out.send(&packet.build())?;
        let what = format!("packet {i} from {} at {}", client.name, server.name);
        arrived.push(inward.receive(&what, Duration::from_secs(5), |frame| {
            frame.windows(mark.len()).any(|part| part == mark.as_bytes()).then(|| frame.to_vec())
        })?);
    }
    Ok(arrived)
}

/// Packets that a connection-tracking firewall passes, to the port of services' backends and to
/// others.
fn packets(client: &Pod, server: &Pod, family: Family) -> Vec<Packet> {
    let from = |port| client.ip.socket(family, port);
    let to = |port| server.ip.socket(family, port);
    let (src, dst) = (client.ip.ip(family), server.ip.ip(family));
    let mut packets = vec![
        Packet::udp(from(7_001), to(PORT)),
        Packet::udp(from(7_002), to(9)).ttl(9).traffic_class(0x28),
        Packet::tcp(from(7_003), to(PORT)).tcp_options(&[2, 4, 5, 0xb4]),
        Packet::tcp(from(7_004), to(9)),
        Packet::icmp(src, dst, if src.is_ipv4() { 8 } else { 128 }, 0),
        Packet::protocol(50, src, dst),
        Packet::protocol(253, src, dst),
    ];
    match family {
        Family::V4 => packets.extend([
            Packet::udp(from(7_005), to(PORT)).no_checksum(),
            Packet::udp(from(7_006), to(PORT)).ipv4_options(&[1, 1, 1, 0]),
        ]),
        Family::V6 => packets.push(
            Packet::udp(from(7_007), to(PORT))
                .extension(Extension::destination(2))
                .extension(Extension::routing(0)),
        ),
    }
    packets
}
