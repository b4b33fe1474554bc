//! What the demo prints: headings, remarks and tables, readable without colour.

use std::{
    env,
    fmt::Display,
    io::{IsTerminal as _, stdout},
    time::Instant,
};

/// The screen, and when the demo began.
pub(crate) struct Screen {
    bold: (&'static str, &'static str),
    began: Instant,
}

impl Screen {
    /// Standard output; headings are bold where it is a terminal and `NO_COLOR` is not set.
    pub(crate) fn new() -> Self {
        let styled = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        let bold = if styled { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        Self { bold, began: Instant::now() }
    }

    /// A heading, with the seconds since the demo began.
    pub(crate) fn heading(&self, text: &str) {
        let (on, off) = self.bold;
        println!("\n{on}{text:<84}{off} {:>5.1} s", self.began.elapsed().as_secs_f64());
    }

    /// A line of text.
    pub(crate) fn line(&self, text: impl Display) {
        println!("  {text}");
    }

    /// A command as somebody would type it, and its output.
    pub(crate) fn command(&self, command: &str, output: &str) {
        println!("  $ {command}");
        output.lines().for_each(|line| println!("    {line}"));
    }
}
