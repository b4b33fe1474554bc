//! What svclb needs of the kernel and of its own process.

use std::{fs, path::Path};

use caps::{CapSet, Capability};
use svclb::{
    attach::{self, Mechanism},
    pins::Pins,
    sock_diag,
};

use super::{Finding, Grade};

/// Below it, programs may not load; see the README's limits.
const OLDEST_TESTED: (u16, u16) = (6, 1);

/// Needed to load and attach programs, and to look at those of others. (`CAP_SYS_ADMIN` has what
/// `CAP_BPF` and `CAP_PERFMON` have: capabilities(7).)
const CAPABILITIES: &[Capability] = &[Capability::CAP_NET_ADMIN, Capability::CAP_SYS_ADMIN];

pub(super) fn findings(bpffs: &Path) -> Vec<Finding> {
    vec![version(), btf(), bpffs_mount(bpffs), cgroup2(), capabilities(), mechanism(), closing()]
}

fn version() -> Finding {
    match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) => judge_version(release.trim()),
        Err(error) => Finding::new("kernel", Grade::Unknown, error.to_string()),
    }
}

fn judge_version(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u16>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::new("kernel", Grade::Unknown, format!("Linux {release}"));
    };
    let (oldest_major, oldest_minor) = OLDEST_TESTED;
    let detail = format!("Linux {release}; tested from {oldest_major}.{oldest_minor} on");
    Finding::of("kernel", (major, minor) >= OLDEST_TESTED, Grade::Fail, detail)
}

fn btf() -> Finding {
    let path = "/sys/kernel/btf/vmlinux";
    let exists = Path::new(path).exists();
    let detail = if exists { path.to_owned() } else { format!("{path} is missing") };
    Finding::of("BTF", exists, Grade::Warning, detail)
}

fn bpffs_mount(bpffs: &Path) -> Finding {
    match Pins::on(bpffs) {
        Ok(pins) => {
            let loaded = if pins.exist() { "svclb is loaded" } else { "svclb is not loaded" };
            let detail = format!("{}: {loaded}", bpffs.display());
            Finding::new("bpffs", Grade::Ok, detail)
        }
        Err(error) => Finding::new("bpffs", Grade::Fail, format!("{error:#}")),
    }
}

fn cgroup2() -> Finding {
    let (grade, detail) = match attach::cgroup_root() {
        Ok(root) if attach::is_machines(&root) => (Grade::Ok, root.display().to_string()),
        Ok(root) => {
            let root = root.display();
            (Grade::Warning, format!("{root} is a part: socket hooks serve only its processes"))
        }
        Err(error) => (Grade::Warning, format!("{error}; the node's own processes go unserved")),
    };
    Finding::new("cgroup2", grade, detail)
}

fn capabilities() -> Finding {
    let has = match caps::read(None, CapSet::Effective) {
        Ok(has) => has,
        Err(error) => return Finding::new("capabilities", Grade::Unknown, error.to_string()),
    };
    judge_capabilities(|capability| has.contains(&capability))
}

fn judge_capabilities(has: impl Fn(Capability) -> bool) -> Finding {
    let lacks = |capability: &&Capability| !has(**capability);
    let missing: Vec<_> = CAPABILITIES.iter().filter(lacks).map(ToString::to_string).collect();
    let (grade, detail) = if !missing.is_empty() {
        (Grade::Fail, format!("missing: {}", missing.join(", ")))
    } else if !has(Capability::CAP_NET_RAW) {
        let detail = "CAP_NET_RAW is missing: idle clients of a vanished endpoint are not told";
        (Grade::Warning, detail.to_owned())
    } else {
        (Grade::Ok, "all that are needed".to_owned())
    };
    Finding::new("capabilities", grade, detail)
}

fn mechanism() -> Finding {
    let detail = match Mechanism::detect() {
        Mechanism::Tcx => "TCX",
        Mechanism::Clsact => "clsact: the kernel has no TCX, or keeps it from this process",
    };
    Finding::new("attaching", Grade::Ok, detail)
}

/// Whether the sockets of processes can be closed when their endpoint goes.
fn closing() -> Finding {
    let (grade, detail) = match sock_diag::probe() {
        Ok(()) => (Grade::Ok, "sockets whose endpoint goes are closed".to_owned()),
        Err(error) => (Grade::Warning, format!("sockets whose endpoint goes stay open: {error:#}")),
    };
    Finding::new("closing sockets", grade, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_judged_by_their_number() {
        let grade = |release| judge_version(release).result;
        assert_eq!(grade("6.18.44-generic"), Grade::Ok);
        assert_eq!(grade("6.1.0-28-cloud-amd64"), Grade::Ok);
        assert_eq!(grade("7.0"), Grade::Ok);
        assert_eq!(grade("5.15.0"), Grade::Fail);
        assert_eq!(grade("unheard of"), Grade::Unknown);
    }

    #[test]
    fn a_missing_capability_is_named() {
        use Capability::{CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN};
        let of = |has: &[Capability]| judge_capabilities(|one| has.contains(&one));
        assert_eq!(of(&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN]).result, Grade::Ok);
        assert_eq!(of(&[CAP_NET_ADMIN, CAP_SYS_ADMIN]).result, Grade::Warning);
        let found = of(&[CAP_NET_ADMIN, CAP_NET_RAW]);
        assert_eq!((found.result, &*found.detail), (Grade::Fail, "missing: CAP_SYS_ADMIN"));
    }
}
