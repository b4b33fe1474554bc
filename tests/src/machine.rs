//! What measurements depend on.

use std::{fs, thread};

use anyhow::{Context as _, Result};

/// The running kernel's release.
///
/// # Errors
/// There is no procfs.
pub fn kernel() -> Result<String> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(release.trim().to_owned())
}

/// How many processors this process may use, and the model of the first where the kernel names it.
///
/// # Errors
/// The kernel does not tell.
pub fn processors() -> Result<String> {
    let number = thread::available_parallelism().context("number of processors")?;
    let text = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let field = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = field.and_then(|rest| rest.split_once(':')).map_or("unnamed", |(_, name)| name);
    Ok(format!("{number} x {}", model.trim()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_says_what_it_is() {
        assert!(super::kernel().unwrap().starts_with(|c: char| c.is_ascii_digit()));
        assert!(!super::processors().unwrap().starts_with('0'));
    }
}
