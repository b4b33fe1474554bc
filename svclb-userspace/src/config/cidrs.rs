//! Options that are ranges of addresses.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::values::as_text;

/// Ranges of addresses, written `CIDR,CIDR`; at least one. Of an address with a prefix, the range
/// that it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cidrs(pub BTreeSet<IpNet>);

impl FromStr for Cidrs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(cidr).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Cidrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ranges.join(","))
    }
}

/// One range of a list.
pub(super) fn cidr(text: &str) -> Result<IpNet, String> {
    let net: Result<IpNet, _> = text.trim().parse();
    net.map(|net| net.trunc()).map_err(|_| format!("`{text}` is no range: IP/LENGTH"))
}

as_text!(Cidrs);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_separated_by_commas() {
        let cidrs: Cidrs = "10.96.3.4/16, fd00:10:96::/112".parse().expect("two ranges");
        assert_eq!(cidrs.to_string(), "10.96.0.0/16,fd00:10:96::/112");
        assert_eq!(cidrs.to_string().parse(), Ok(cidrs));
        for wrong in ["", "10.96.0.0", "10.96.0.0/33", "10.96.0.0/16,", "a/8", "::/129"] {
            let error = wrong.parse::<Cidrs>().expect_err(wrong);
            assert!(error.contains("no range: IP/LENGTH"), "{error}");
        }
    }
}
