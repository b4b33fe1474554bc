//! The configuration as a file.

use std::fmt::Write as _;

use serde_json::Value;

use super::{API_VERSION, KIND, Origin, Resolved, field};

impl Resolved {
    /// The configuration as a file that says everything. A comment tells where each value comes
    /// from, and names the options without a value.
    ///
    /// # Errors
    ///
    /// A value cannot be written: a path that is not UTF-8.
    pub fn to_yaml(&self) -> serde_json::Result<String> {
        let mut text = format!("apiVersion: {API_VERSION}\nkind: {KIND}\n");
        for (section, options) in self.config.sections()? {
            text += &format!("{}:\n", field(section));
            for (name, value) in options {
                self.write_option(&mut text, name, &value);
            }
        }
        Ok(text)
    }

    fn write_option(&self, text: &mut String, name: &str, value: &Value) {
        let field = field(name);
        // A value of JSON is one of YAML. Writing to a text does not fail.
        let _ = match (value, self.origin(name)) {
            (Value::Null, _) => writeln!(text, "  # {field}: not set"),
            (value, Origin::Default) => writeln!(text, "  {field}: {value} # default"),
            (value, Origin::File) => writeln!(text, "  {field}: {value} # file"),
            (value, Origin::Flag) => {
                writeln!(text, "  {field}: {value} # --{}", name.replace('_', "-"))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, file::parse};

    #[test]
    fn what_is_printed_says_the_same_when_it_is_read() {
        let text = format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nagent: {{nodeName: \"it's # 1\", attach: tcx}}\n\
             observability: {{healthzBindAddress: off, metricsPerService: backend}}\n"
        );
        let mut resolved = Resolved::default();
        resolved.take(parse(&text).expect("valid"), Origin::File);
        assert_ne!(resolved.config, Config::default());
        let printed = resolved.to_yaml().expect("printed");
        let mut again = Resolved::default();
        again.take(parse(&printed).expect(&printed), Origin::File);
        assert_eq!(again.config, resolved.config, "{printed}");
    }

    #[test]
    fn every_value_says_where_it_comes_from() {
        let text = format!("apiVersion: {API_VERSION}\nkind: {KIND}\nagent: {{nodeName: n}}\n");
        let mut resolved = Resolved::default();
        resolved.take(parse(&text).expect("valid"), Origin::File);
        let printed = resolved.to_yaml().expect("printed");
        for line in [
            "  nodeName: \"n\" # file\n",
            "  # attach: not set\n",
            "  masqueradePorts: \"10240-29999\" # default\n",
            "  tcpClosedTimeout: ",
        ] {
            assert!(printed.contains(line), "{printed}");
        }
    }
}
