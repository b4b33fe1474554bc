//! How commands print: tables for people, JSON or YAML for programs.

use std::io::{self, Write};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tabwriter::TabWriter;

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
    Yaml,
}

/// How to print.
#[derive(Args, Debug)]
pub(super) struct Output {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Something that can be printed in every form.
pub(super) trait Report: Serialize {
    /// The tables for people, one below the other.
    fn tables(&self) -> Vec<Table>;
}

/// A table: titles of columns, and rows of as many cells.
pub(super) struct Table {
    titles: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// A row of a table.
pub(super) trait Row: Serialize {
    /// Titles of the columns.
    const TITLES: &'static [&'static str];

    /// One cell a column.
    fn cells(&self) -> Vec<String>;
}

impl Table {
    /// A table of rows.
    pub(super) fn of<R: Row>(rows: &[R]) -> Self {
        Self { titles: R::TITLES, rows: rows.iter().map(Row::cells).collect() }
    }
}

impl<R: Row> Report for Vec<R> {
    fn tables(&self) -> Vec<Table> {
        vec![Table::of(self)]
    }
}

impl Output {
    /// Prints a report to standard output.
    pub(super) fn print<R: Report>(&self, report: &R) -> Result<()> {
        let text = match self.output {
            Format::Table => aligned(&report.tables())?,
            Format::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
            Format::Yaml => serde_saphyr::to_string(report)?,
        };
        io::stdout().write_all(text.as_bytes()).context("standard output")
    }
}

fn aligned(tables: &[Table]) -> Result<String> {
    let mut writer = TabWriter::new(Vec::new()).padding(3);
    for (i, table) in tables.iter().enumerate() {
        if i > 0 {
            writeln!(writer)?;
        }
        writeln!(writer, "{}", table.titles.join("\t"))?;
        for row in &table.rows {
            writeln!(writer, "{}", row.join("\t"))?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| anyhow!("align a table: {error}"))?;
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, u32);

    impl Row for Pair {
        const TITLES: &'static [&'static str] = &["NAME", "COUNT"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_string()]
        }
    }

    #[test]
    fn columns_are_aligned_within_each_table() {
        let rows = vec![Pair("kube-dns", 2), Pair("web", 100)];
        let text = aligned(&[Table::of(&rows), Table::of(&rows[1..])]).expect("tables");
        let expected =
            "NAME       COUNT\nkube-dns   2\nweb        100\n\nNAME   COUNT\nweb    100\n";
        assert_eq!(text, expected);
    }
}
