//! Somebody else's TC programs: what a node runs beside svclb.
//!
//! A program of two instructions ("go on") at both hooks, before and after svclb's by the order of
//! TCX, and in a clsact qdisc, which runs after TCX. Where there is no TCX, the first two are filters of
//! the first and the last priority. The kernel counts their runs.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use aya::{
    Ebpf,
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        tc::{NlOptions, TcAttachOptions, qdisc_add_clsact},
    },
    sys::{Stats, enable_stats},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};
use svclb::attach::Mechanism;

use super::netns::Netns;

const NAME: &str = "foreign";

/// `r0 = -1; exit`: TCX_NEXT, which is TC_ACT_UNSPEC for clsact.
const GO_ON: [u8; 16] = [0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// Foreign programs on the devices of a namespace, until the value drops.
#[derive(Debug)]
pub struct Foreign {
    first: Ebpf,
    last: Ebpf,
    clsact: Ebpf,
    _counting: OwnedFd,
}

impl Foreign {
    /// Attaches to `devices` of `netns`: run it once svclb is attached, so that "first" and "last"
    /// mean before and after it.
    ///
    /// # Errors
    /// The kernel refuses a program.
    pub fn attach(netns: &Netns, devices: &[String]) -> Result<Self> {
        let counting = enable_stats(Stats::RunTime).context("run counts of programs")?;
        let (mut first, mut last, mut clsact) = (load()?, load()?, load()?);
        let by_priority =
            |priority| TcAttachOptions::Netlink(NlOptions { priority, ..NlOptions::default() });
        let has_tcx = Mechanism::detect() == Mechanism::Tcx;
        let in_order = |order, priority| match has_tcx {
            true => TcAttachOptions::TcxOrder(order),
            false => by_priority(priority),
        };
        netns.run(|| {
            for device in devices {
                // A node's own tools may have made the qdisc.
                let _exists = qdisc_add_clsact(device);
                attach(&mut first, device, || in_order(LinkOrder::first(), 1))?;
                attach(&mut last, device, || in_order(LinkOrder::last(), u16::MAX))?;
                attach(&mut clsact, device, || by_priority(0))?;
            }
            Ok(())
        })?;
        Ok(Self { first, last, clsact, _counting: counting })
    }

    /// How often each ran: first, last, clsact.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn runs(&self) -> Result<[u64; 3]> {
        let count = |ebpf: &Ebpf| -> Result<u64> {
            let program = ebpf.program(NAME).context("foreign program")?;
            Ok(program.info().context("foreign program")?.run_count())
        };
        Ok([count(&self.first)?, count(&self.last)?, count(&self.clsact)?])
    }
}

fn load() -> Result<Ebpf> {
    let mut ebpf = Ebpf::load(&object_file()?).context("foreign program")?;
    program(&mut ebpf)?.load().context("foreign program: not loaded")?;
    Ok(ebpf)
}

fn program(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier> {
    let program = ebpf.program_mut(NAME).context("foreign program")?;
    program.try_into().context("foreign program")
}

fn attach(ebpf: &mut Ebpf, device: &str, options: impl Fn() -> TcAttachOptions) -> Result<()> {
    for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
        program(ebpf)?
            .attach_with_options(device, hook, options())
            .with_context(|| format!("foreign program at {hook:?} of {device}"))?;
    }
    Ok(())
}

/// An object file with the program, as a compiler would have written it.
fn object_file() -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let section = object.add_section(Vec::new(), b"classifier".to_vec(), SectionKind::Text);
    object.append_section_data(section, &GO_ON, 8);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    object.add_symbol(Symbol {
        name: NAME.as_bytes().to_vec(),
        value: 0,
        size: GO_ON.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    object.write().context("foreign program: object file")
}
