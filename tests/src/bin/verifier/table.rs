//! The table of what the verifier made of each program.

use std::fmt::Write as _;

/// One program.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) program: String,
    /// Instructions that the verifier walked, over all paths. The kernel's limit is a million.
    pub(crate) verified: u32,
    /// Size in bytes after the kernel's own rewriting; an instruction has eight.
    pub(crate) bytes: u32,
    /// Size of the machine code in bytes.
    pub(crate) jited: u32,
    /// How long loading took.
    pub(crate) milliseconds: f64,
}

/// All programs, by name.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Table {
    /// The rows.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// The rows of a document that [`Table::document`] wrote; what is no row is passed over.
    pub(crate) fn parse(document: &str) -> Self {
        Self { rows: document.lines().filter_map(row).collect() }
    }

    /// The table as a document to keep.
    pub(crate) fn document(&self, kernel: &str) -> String {
        let mut text = format!(
            "# What the verifier makes of the programs\n\n\
             Written by `cargo xtask verifier --save` on Linux {kernel}; \
             `cargo xtask verifier` compares with it.\n\n\
             | program | instructions verified | bytes | machine code | load time |\n\
             |---|---:|---:|---:|---:|\n"
        );
        for row in &self.rows {
            let Row { program, verified, bytes, jited, milliseconds } = row;
            let line =
                format!("| {program} | {verified} | {bytes} | {jited} | {milliseconds:.0} ms |");
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The table for a screen, with the change against `baseline`.
    pub(crate) fn beside(&self, baseline: &Self) -> String {
        let mut text = format!(
            "{:<14} {:>9} {:>8} {:>8} {:>8} {:>9}\n",
            "PROGRAM", "VERIFIED", "CHANGE", "BYTES", "JITED", "LOAD"
        );
        for row in &self.rows {
            let before = baseline.rows.iter().find(|other| other.program == row.program);
            let change = change(before.map(|other| other.verified), row.verified);
            let Row { program, verified, bytes, jited, milliseconds } = row;
            let _ = writeln!(
                text,
                "{program:<14} {verified:>9} {change:>8} {bytes:>8} {jited:>8} {milliseconds:>6.1} ms"
            );
        }
        let total: f64 = self.rows.iter().map(|row| row.milliseconds).sum();
        let _ = writeln!(text, "{:<14} {:>45.1} ms", "all", total);
        text
    }
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [program, verified, bytes, jited, time, ..] = cells.as_slice() else { return None };
    Some(Row {
        program: (*program).to_owned(),
        verified: verified.parse().ok()?,
        bytes: bytes.parse().ok()?,
        jited: jited.parse().ok()?,
        milliseconds: time.strip_suffix(" ms")?.parse().ok()?,
    })
}

fn change(before: Option<u32>, now: u32) -> String {
    match before {
        None => "new".to_owned(),
        Some(0) => "-".to_owned(),
        Some(before) => {
            format!("{:+.1}%", (f64::from(now) / f64::from(before) - 1.0) * 100.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(verified: u32) -> Table {
        let row = |program: &str| Row {
            program: program.into(),
            verified,
            bytes: 800,
            jited: 450,
            milliseconds: 12.0,
        };
        Table { rows: vec![row("egress_eth"), row("ingress_eth")] }
    }

    #[test]
    fn a_document_is_read_back() {
        assert_eq!(Table::parse(&table(1000).document("6.18.0")), table(1000));
        assert_eq!(Table::parse("nothing\n| a | b |\n"), Table::default());
    }

    #[test]
    fn growth_is_seen() {
        let shown = table(1100).beside(&table(1000));
        assert!(shown.contains("+10.0%"), "{shown}");
        assert!(table(5).beside(&Table::default()).contains("new"));
    }
}
