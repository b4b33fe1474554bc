//! What came of each kernel.

use std::fmt::Write as _;

use super::kernel::Kernel;
use crate::test::Summary;

/// The programs of which the table tells how much the verifier looked at: the largest.
const LARGEST: [&str; 2] = ["ingress_eth", "egress_eth"];

/// What came of one.
pub(super) struct Report {
    /// Its name.
    pub(super) kernel: String,
    /// The version of Debian's package.
    package: String,
    /// Instructions that the verifier looked at in [`LARGEST`]; `None` if it took not all programs.
    verified: Option<[u64; 2]>,
    /// How the scenarios ended; `None` without a conclusion.
    scenarios: Option<Summary>,
}

impl Report {
    /// Reads what the guest said.
    pub(super) fn new(kernel: &Kernel, said: &str) -> Self {
        Self::read(kernel.name.clone(), kernel.version.clone(), said)
    }

    fn read(kernel: String, package: String, said: &str) -> Self {
        let mut parts = said.split("==> ").skip(1);
        let (verifier, lab) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let succeeded = verifier.contains("<== 0");
        let verified = LARGEST.map(|program| verified(verifier, program));
        let verified = match verified {
            [Some(ingress), Some(egress)] if succeeded => Some([ingress, egress]),
            _ => None,
        };
        Self { kernel, package, verified, scenarios: lab.lines().find_map(Summary::parse) }
    }

    /// Whether all programs load and no scenario failed, of at least one.
    pub(super) fn is_good(&self) -> bool {
        let passed = |scenarios: Summary| scenarios.passed > 0 && scenarios.failed == 0;
        self.verified.is_some() && self.scenarios.is_some_and(passed)
    }
}

/// The second column of the verifier's table.
fn verified(table: &str, program: &str) -> Option<u64> {
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = row.into_iter().find(|row| row.first() == Some(&program))?;
    row.get(1)?.parse().ok()
}

/// Rows of Markdown.
pub(super) fn table(reports: &[Report]) -> String {
    let mut table =
        "| kernel | Debian's package | programs | ingress_eth | egress_eth | scenarios |\n\
                     |---|---|---|---:|---:|---|\n"
            .to_owned();
    for report in reports {
        let (programs, [ingress, egress]) = match report.verified {
            Some(counts) => ("all load", counts.map(|count| count.to_string())),
            None => ("refused", ["-", "-"].map(str::to_owned)),
        };
        let scenarios = match report.scenarios {
            Some(Summary { passed, failed, .. }) => format!("{passed} passed, {failed} failed"),
            None => "no conclusion".to_owned(),
        };
        let (kernel, package) = (&report.kernel, &report.package);
        let _ = writeln!(
            table,
            "| {kernel} | {package} | {programs} | {ingress} | {egress} | {scenarios} |"
        );
    }
    table
}

/// The whole page; `options` chose the scenarios.
pub(super) fn document(reports: &[Report], options: &str) -> String {
    format!("{HEAD}\n{}\nThe scenarios are those of `lab {options}`.\n{TAIL}", table(reports))
}

const HEAD: &str = "# svclb on other kernels

Written by `cargo xtask kernels --save`, which boots each of Debian's kernels for clouds in QEMU,
has its verifier look at every program, and runs the scenarios of the network lab there under the
preset `vxlan-hostile`: pods behind bridges, an overlay between the nodes, rules that drop what
connection tracking calls invalid.
";

const TAIL: &str = "
The columns of the two largest programs are the instructions that the verifier looked at; it gives up
at a million. Linux 6.1 has no TCX: there the programs are filters of `clsact`. Scenarios that load
the processor or measure time are left out, because the emulation is done in software; `cargo xtask
test` runs them on the machine's own kernel.
";

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "==> /svclb/verifier\nPROGRAM VERIFIED\negress_eth 1739 +1%\ningress_eth 1748\n\
                        <== 0\n==> lab\ntest a ... ok\n\
                        test result: ok. 12 passed; 0 failed; 3 ignored\n<== 0\n";

    fn read(said: &str) -> Report {
        Report::read("Linux 6.1".to_owned(), "6.1-1".to_owned(), said)
    }

    #[test]
    fn what_the_guest_says_becomes_a_row() {
        let report = read(SAID);
        assert!(report.is_good());
        let table = table(&[report]);
        let row = "| Linux 6.1 | 6.1-1 | all load | 1748 | 1739 | 12 passed, 0 failed |";
        assert_eq!(table.lines().last(), Some(row));
    }

    #[test]
    fn nothing_is_good_that_did_not_run() {
        assert!(!read("").is_good());
        assert!(!read(&SAID.replacen("<== 0", "<== 1", 1)).is_good());
        assert!(!read(&SAID.replace("12 passed", "0 passed")).is_good());
        assert!(!read(&SAID.replace("0 failed", "1 failed")).is_good());
    }
}
