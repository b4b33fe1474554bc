//! A cluster's network on this machine, with svclb in it, for somebody who has never seen it.
//!
//! `cargo xtask demo` builds everything and runs this.

mod change;
mod inside;
mod kernel;
mod manifests;
mod screen;
mod stage;
mod traffic;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use screen::Screen;
use stage::Stage;

#[derive(Parser)]
struct Arguments {
    /// Folder of the manifests: examples/ of the repository
    manifests: PathBuf,
    /// Leave everything up at the end
    #[arg(long)]
    keep: bool,
    /// Take away what --keep has left, and do nothing else
    #[arg(long, conflicts_with = "keep")]
    remove: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.remove {
        return stage::remove();
    }
    let screen = Screen::new();
    let mut stage = Stage::set_up(&screen, &arguments.manifests)?;
    let mut failed = traffic::run(&screen, &stage)?;
    inside::show(&screen, &stage)?;
    failed += change::run(&screen, &mut stage)?;
    if failed == 0 {
        println!("\nNo request failed.");
    }
    if arguments.keep {
        stage.keep(&screen);
    }
    ensure!(failed == 0, "{failed} requests failed");
    Ok(())
}
