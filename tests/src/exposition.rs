//! A strict reader of OpenMetrics' text: what it accepts, every scraper does.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

/// The series of a scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    samples: BTreeMap<Series, f64>,
}

/// A sample's name and labels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

/// A family while it is read.
struct Family {
    name: String,
    kind: Option<String>,
}

impl Exposition {
    /// Reads a scrape's body.
    ///
    /// # Errors
    /// Names the first line that is not as the format wants it, or the histogram that contradicts
    /// itself.
    pub fn parse(text: &str) -> Result<Self> {
        let body = text.strip_suffix("# EOF\n").context("the end is not `# EOF`")?;
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(body.lines()) {
            reader.line(line).with_context(|| format!("line {number}: {line}"))?;
        }
        reader.histograms.iter().try_for_each(|name| reader.exposition.check_histogram(name))?;
        Ok(reader.exposition)
    }

    /// The sum of all series of this name that have these labels among theirs; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels).map(|(_, value)| value).sum()
    }

    /// The one series of this name that has these labels among its own.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn one(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let mut found = self.select(name, labels);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => bail!("no series {name} {labels:?}"),
            (Some(_), Some(_)) => bail!("several series {name} {labels:?}"),
        }
    }

    /// Whether there is a series of this name.
    pub fn has(&self, name: &str) -> bool {
        self.select(name, &[]).next().is_some()
    }

    fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Series, f64)> {
        let fits = move |series: &Series| {
            let has = |(label, value): &(&str, &str)| {
                series.labels.get(*label).is_some_and(|found| found == value)
            };
            series.name == name && labels.iter().all(has)
        };
        self.samples.iter().filter(move |(series, _)| fits(series)).map(|(s, value)| (s, *value))
    }

    /// Buckets only grow, and the last is the count.
    fn check_histogram(&self, name: &str) -> Result<()> {
        let mut buckets = Vec::new();
        for (series, value) in self.select(&format!("{name}_bucket"), &[]) {
            let bound = series.labels.get("le").with_context(|| format!("{name}: no le"))?;
            let bound: f64 = bound.parse().with_context(|| format!("{name}: le {bound}"))?;
            buckets.push((bound, value));
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        ensure!(buckets.is_sorted_by_key(|(_, value)| *value), "{name}: {buckets:?} shrinks");
        let (last, value) = *buckets.last().with_context(|| format!("{name}: no buckets"))?;
        let count = self.one(&format!("{name}_count"), &[])?;
        ensure!(last.is_infinite(), "{name}: no bucket +Inf");
        ensure!((value - count).abs() < 0.5, "{name}: {value} in +Inf of {count}");
        self.one(&format!("{name}_sum"), &[]).map(drop)
    }
}

#[derive(Default)]
struct Reader {
    exposition: Exposition,
    seen: BTreeSet<String>,
    histograms: Vec<String>,
    family: Option<Family>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<()> {
        match line.strip_prefix("# ") {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<()> {
        let (what, rest) = comment.split_once(' ').context("no text")?;
        let (name, text) = rest.split_once(' ').context("no name")?;
        match what {
            "HELP" => {
                ensure!(is_name(name), "not a name: {name}");
                ensure!(self.seen.insert(name.to_owned()), "the family {name} is there already");
                self.family = Some(Family { name: name.to_owned(), kind: None });
            }
            "TYPE" => {
                let family = self.family.as_mut().filter(|family| family.name == name);
                let family = family.context("no HELP before it")?;
                ensure!(family.kind.is_none(), "a second TYPE");
                ensure!(
                    ["counter", "gauge", "histogram", "info"].contains(&text),
                    "not a type: {text}"
                );
                family.kind = Some(text.to_owned());
                if text == "histogram" {
                    self.histograms.push(name.to_owned());
                }
            }
            _ => bail!("neither HELP nor TYPE"),
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<()> {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        let value: f64 = value.parse().with_context(|| format!("not a number: {value}"))?;
        let series = Series::parse(series)?;
        let family = self.family.as_ref().context("a sample without a family")?;
        let suffix = series.name.strip_prefix(&family.name).context("of another family")?;
        let suffixes: &[&str] = match family.kind.as_deref().context("no TYPE")? {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        ensure!(suffixes.contains(&suffix), "not a name of its family");
        ensure!(value >= 0.0 || suffix.is_empty(), "less than nothing");
        let before = self.exposition.samples.insert(series, value);
        ensure!(before.is_none(), "the series is there already");
        Ok(())
    }
}

impl Series {
    fn parse(text: &str) -> Result<Self> {
        let (name, labels) = match text.split_once('{') {
            None => (text, ""),
            Some((name, rest)) => (name, rest.strip_suffix('}').context("no closing brace")?),
        };
        ensure!(is_name(name), "not a name: {name}");
        let name = name.to_owned();
        Ok(Self { name, labels: parse_labels(labels)? })
    }
}

/// `a="b",c="d"`, with `\\`, `\"` and `\n` in values.
fn parse_labels(text: &str) -> Result<BTreeMap<String, String>> {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(is_name(name) && !name.contains(':'), "not a label: {name}");
        let (value, after) = parse_value(after)?;
        ensure!(labels.insert(name.to_owned(), value).is_none(), "a second label {name}");
        rest = match after.strip_prefix(',') {
            Some(after) if !after.is_empty() => after,
            None if after.is_empty() => after,
            _ => bail!("labels are not separated"),
        };
    }
    Ok(labels)
}

/// A value up to its quote, and what follows.
fn parse_value(text: &str) -> Result<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => bail!("an unknown escape"),
            },
            char => value.push(char),
        }
    }
    bail!("a value without an end")
}

fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# HELP a_b What.\n# TYPE a_b counter\n";

    #[test]
    fn series_are_read_with_their_labels() {
        let text = format!(
            "{HEAD}a_b_total{{x=\"1\",y=\"\\\"q\\\"\"}} 2\na_b_total{{x=\"2\"}} 3.5\n# EOF\n"
        );
        let read = Exposition::parse(&text).expect("valid");
        assert!((read.sum("a_b_total", &[]) - 5.5).abs() < 1e-9);
        assert!((read.one("a_b_total", &[("y", "\"q\"")]).expect("one") - 2.0).abs() < 1e-9);
        assert!(read.one("a_b_total", &[]).is_err() && !read.has("a_b"));
    }

    #[test]
    fn what_a_scraper_would_refuse_is_refused() {
        for (body, why) in [
            ("a_b_total 1\na_b_total 1\n", "there already"),
            ("a_b 1\n", "name of its family"),
            ("a_c_total 1\n", "of another family"),
            ("a_b_total one\n", "not a number"),
            ("a_b_total -1\n", "less than nothing"),
            ("a_b_total{x=1} 1\n", "without a value"),
            ("a_b_total{x=\"1\",} 1\n", "separated"),
            ("a_b_total{x=\"1} 1\n", "without an end"),
            ("# HELP a_b Again.\n", "there already"),
        ] {
            let error = Exposition::parse(&format!("{HEAD}{body}# EOF\n")).expect_err(body);
            assert!(format!("{error:#}").contains(why), "{body}: {error:#}");
        }
        assert!(Exposition::parse(HEAD).is_err(), "no end");
    }

    #[test]
    fn a_histogram_that_contradicts_itself_is_refused() {
        let histogram = |inf: u8, count: u8| {
            format!(
                "# HELP h H.\n# TYPE h histogram\nh_bucket{{le=\"1.0\"}} 2\n\
                 h_bucket{{le=\"+Inf\"}} {inf}\nh_sum 1\nh_count {count}\n# EOF\n"
            )
        };
        Exposition::parse(&histogram(3, 3)).expect("valid");
        assert!(Exposition::parse(&histogram(1, 1)).is_err(), "shrinks");
        assert!(Exposition::parse(&histogram(3, 4)).is_err(), "another count");
    }
}
