//! Loads each program of an object file and prints what the verifier made of it, beside a baseline.
//!
//! `cargo xtask verifier` builds the object file and runs this.

mod table;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use aya::{EbpfLoader, programs::Program};
use clap::Parser;
use svclb::loader::load_program;
use svclb_tests::machine;
use table::{Row, Table};

#[derive(Parser)]
struct Arguments {
    /// The object file
    object: PathBuf,
    /// The table to compare with
    baseline: PathBuf,
    /// Make what was measured the new baseline
    #[arg(long)]
    save: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let table = measure(&arguments.object)?;
    let path = &arguments.baseline;
    let baseline = fs::read_to_string(path).map(|text| Table::parse(&text)).unwrap_or_default();
    print!("{}", table.beside(&baseline));
    if arguments.save {
        fs::write(path, table.document(&machine::kernel()?))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn measure(object: &PathBuf) -> Result<Table> {
    let bytes = fs::read(object).with_context(|| format!("reading {}", object.display()))?;
    // As the agent loads them: without the log of single packets.
    let mut loader = EbpfLoader::new();
    loader.override_global("AYA_LOG_LEVEL", &0_u8, false);
    let mut ebpf = loader.load(&bytes).context("creating the maps")?;
    let mut rows = ebpf
        .programs_mut()
        .map(|(name, program)| load(name, program).with_context(|| format!("program {name}")))
        .collect::<Result<Vec<_>>>()?;
    rows.sort_by(|a, b| a.program.cmp(&b.program));
    Ok(Table { rows })
}

fn load(name: &str, program: &mut Program) -> Result<Row> {
    let start = Instant::now();
    load_program(program)?;
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    let info = program.info()?;
    Ok(Row {
        program: name.to_owned(),
        verified: info.verified_instruction_count().unwrap_or_default(),
        bytes: info.size_translated().unwrap_or_default(),
        jited: info.size_jitted(),
        milliseconds,
    })
}
