//! Commands of the system, with errors that say what failed where.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs `program` with `args` and feeds it `input`; its output if it succeeded.
///
/// # Errors
/// The program is missing or fails; the message holds its standard error.
pub fn run(program: &str, args: &[&str], input: &str) -> Result<String> {
    let output = feed(Command::new(program).args(args), input)
        .with_context(|| format!("{program}: cannot be run; is its package installed?"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", args.join(" "), explained(&errors, input));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn feed(command: &mut Command, input: &str) -> std::io::Result<Output> {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading tells why on its standard error.
        let _broken_pipe = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// The error text, with the line of a batch that `ip` names by its number only
/// ("Command failed -:3").
fn explained(errors: &str, input: &str) -> String {
    let failed = errors.lines().find_map(|line| line.strip_prefix("Command failed -:"));
    let line = failed.and_then(|number| number.trim().parse::<usize>().ok());
    match line.and_then(|number| input.lines().nth(number - 1)) {
        Some(line) => format!("{}\nin the line: {line}", errors.trim()),
        None => errors.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_line_of_a_batch_is_shown() {
        let text =
            explained("RTNETLINK answers: File exists\nCommand failed -:2\n", "a\nlink add\n");
        assert!(text.ends_with("in the line: link add"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run("svclb-no-such-program", &[], "").unwrap_err();
        assert!(error.to_string().starts_with("svclb-no-such-program"), "{error}");
    }
}
