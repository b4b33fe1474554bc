//! The layout of a map, as an object file asks for it and as the kernel has it.

use std::fmt;

use aya::maps::{MapError, MapInfo};

/// What must agree before a pinned map is used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Kind of map: a `BPF_MAP_TYPE_*` number.
    pub map_type: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// `BPF_F_*` flags of the map's creation.
    pub flags: u32,
    /// How many entries fit. May differ: the operator chooses it.
    pub max_entries: u32,
}

/// A pinned map that the programs at hand cannot use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Name of the map.
    pub map: String,
    /// The layout in the kernel.
    pub pinned: Layout,
    /// The layout in the object file.
    pub object: Layout,
}

impl Layout {
    /// The layout of a map in the kernel.
    ///
    /// # Errors
    ///
    /// Fails if the kernel's map type is unknown here.
    pub fn of_pinned(info: &MapInfo) -> Result<Self, MapError> {
        Ok(Self {
            map_type: info.map_type()? as u32,
            key_size: info.key_size(),
            value_size: info.value_size(),
            flags: info.map_flags(),
            max_entries: info.max_entries(),
        })
    }

    /// The layout that an object file asks for.
    pub fn of_object(map: &aya_obj::Map) -> Self {
        Self {
            map_type: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            flags: map.map_flags(),
            max_entries: map.max_entries(),
        }
    }

    /// Whether programs made for `object` can use a map of this layout; sizes aside.
    ///
    /// # Errors
    ///
    /// Returns both layouts if not.
    pub fn check(self, map: &str, object: Self) -> Result<(), Box<Mismatch>> {
        let same = Self { max_entries: object.max_entries, ..self } == object;
        if same {
            return Ok(());
        }
        Err(Box::new(Mismatch { map: map.to_owned(), pinned: self, object }))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "type {}, key {} bytes, value {} bytes, flags {:#x}",
            self.map_type, self.key_size, self.value_size, self.flags
        )
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the pinned map {} has another layout than this svclb's programs: pinned {}, \
             expected {}; `svclb unload` removes what is pinned",
            self.map, self.pinned, self.object
        )
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout =
        Layout { map_type: 1, key_size: 8, value_size: 8, flags: 0, max_entries: 100 };

    #[test]
    fn another_size_is_no_mismatch() {
        assert_eq!(Layout { max_entries: 7, ..LAYOUT }.check("frontends4", LAYOUT), Ok(()));
    }

    #[test]
    fn a_mismatch_names_the_map_and_both_layouts() {
        for pinned in [
            Layout { map_type: 2, ..LAYOUT },
            Layout { key_size: 20, ..LAYOUT },
            Layout { value_size: 20, ..LAYOUT },
            Layout { flags: 1, ..LAYOUT },
        ] {
            let error = pinned.check("frontends4", LAYOUT).expect_err("layouts differ");
            let text = error.to_string();
            for part in ["frontends4", &pinned.to_string(), &LAYOUT.to_string()] {
                assert!(text.contains(part), "{text} lacks {part}");
            }
        }
    }
}
