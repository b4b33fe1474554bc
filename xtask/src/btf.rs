//! Corrections to the types in an object file, for bpftool and for the kernel.
//!
//! rustc describes an enum with data as a union whose members lie at offsets; the kernel wants a
//! union's members at 0, and refuses the whole BTF otherwise. Nobody reads those types.
//!
//! Rust has no type like C's `char`, whose BTF has the encoding `CHAR` that makes bpftool print an
//! array of it as a string. The maps hold text as `i8` and nothing else as `i8`, so that type is
//! given the encoding. Format: Documentation/bpf/btf.rst in the kernel's tree.

use anyhow::{Context, Result, bail, ensure};
use object::{Object as _, ObjectSection as _};

const SECTION: &str = ".BTF";
const MAGIC: u16 = 0xeb9f;
const ENCODING_SHIFT: u32 = 24;
const ENCODING_MASK: u32 = 0x0f << ENCODING_SHIFT;
const CHAR: u32 = 2 << ENCODING_SHIFT;

/// Corrects the types of a little-endian object file. Doing it twice changes nothing.
///
/// # Errors
/// If the object has no BTF, or BTF that this reader does not understand.
pub(crate) fn correct(object: &mut [u8]) -> Result<()> {
    let (start, size) = object::File::parse(&*object)
        .context("reading the object file")?
        .section_by_name(SECTION)
        .and_then(|section| section.file_range())
        .context("the object file has no section .BTF")?;
    let section = usize::try_from(start)?..usize::try_from(start + size)?;
    correct_types(object.get_mut(section).context(".BTF lies outside the object file")?)
}

fn correct_types(btf: &mut [u8]) -> Result<()> {
    ensure!(u16_at(btf, 0)? == MAGIC, "{SECTION} does not begin with its magic number");
    let header = u32_at(btf, 4)? as usize;
    let types = header + u32_at(btf, 8)? as usize;
    let end = types + u32_at(btf, 12)? as usize;
    let names = header + u32_at(btf, 16)? as usize;
    let mut at = types;
    while at < end {
        let (kind, members) = kind_at(btf, at)?;
        let body = at + 12;
        match kind {
            kind::INT if name_at(btf, names + u32_at(btf, at)? as usize)? == b"i8" => {
                let encoding = u32_at(btf, body)? & !ENCODING_MASK | CHAR;
                put(btf, body, encoding)?;
            }
            kind::UNION => zero_offsets(btf, body, members)?,
            _ => {}
        }
        at = body + body_size(kind, members)?;
    }
    Ok(())
}

/// Moves the members of a union (name, type, offset: 32 bits each) to its beginning.
fn zero_offsets(btf: &mut [u8], body: usize, members: usize) -> Result<()> {
    (0..members).try_for_each(|member| put(btf, body + member * 12 + 8, 0))
}

/// The kinds of types, and what follows their first 12 bytes.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const ENUM64: u32 = 19;
}

fn body_size(kind: u32, members: usize) -> Result<usize> {
    Ok(match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => members * 12,
        kind::ENUM | kind::FUNC_PROTO => members * 8,
        // Pointers, forward declarations, typedefs, qualifiers, functions, floats, type tags.
        2 | 7..=12 | 16 | 18 => 0,
        other => bail!("{SECTION} holds a type of the unknown kind {other}"),
    })
}

fn kind_at(btf: &[u8], at: usize) -> Result<(u32, usize)> {
    let info = u32_at(btf, at + 4)?;
    Ok(((info >> 24) & 0x1f, (info & 0xffff) as usize))
}

fn name_at(btf: &[u8], at: usize) -> Result<&[u8]> {
    let rest = btf.get(at..).context("a name lies outside .BTF")?;
    Ok(rest.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn put(btf: &mut [u8], at: usize, value: u32) -> Result<()> {
    let bytes = btf.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    *bytes.with_context(|| format!("{SECTION} ends within a field at {at}"))? = value.to_le_bytes();
    Ok(())
}

fn u16_at(btf: &[u8], at: usize) -> Result<u16> {
    bytes_at(btf, at).map(u16::from_le_bytes)
}

fn u32_at(btf: &[u8], at: usize) -> Result<u32> {
    bytes_at(btf, at).map(u32::from_le_bytes)
}

fn bytes_at<const N: usize>(btf: &[u8], at: usize) -> Result<[u8; N]> {
    let bytes = btf.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().with_context(|| format!("{SECTION} ends within a field at {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: u32 = 1 << ENCODING_SHIFT;

    /// BTF with the given type words and the names `i8` at 1 and `i16` at 4.
    fn btf(words: &[u32]) -> Vec<u8> {
        let names = b"\0i8\0i16\0";
        let size = 4 * words.len() as u32;
        let mut btf = MAGIC.to_le_bytes().to_vec();
        btf.extend([1, 0]);
        let header = [24, 0, size, size, names.len() as u32];
        btf.extend(header.iter().chain(words).flat_map(|word| word.to_le_bytes()));
        btf.extend(names);
        btf
    }

    fn info(kind: u32, members: u32) -> u32 {
        kind << 24 | members
    }

    #[test]
    fn only_the_text_type_is_marked_and_every_kind_is_passed() {
        let structure = [0, info(kind::STRUCT, 2), 8, 1, 2, 3, 4, 5, 6];
        let array = [0, info(kind::ARRAY, 0), 0, 1, 1, 64];
        let pointer = [0, info(2, 0), 1];
        let short = [4, info(kind::INT, 0), 2, SIGNED | 16];
        let byte = |encoding| [1, info(kind::INT, 0), 1, encoding | 8];
        let words = |encoding| {
            [&structure[..], &array, &pointer, &short, &byte(encoding), &pointer].concat()
        };
        let mut patched = btf(&words(SIGNED));
        correct_types(&mut patched).expect("well-formed");
        assert_eq!(patched, btf(&words(CHAR)));
        correct_types(&mut patched).expect("well-formed");
        assert_eq!(patched, btf(&words(CHAR)), "correcting twice changes nothing");
    }

    #[test]
    fn members_of_a_union_begin_where_it_begins() {
        let union = |offset| [0, info(kind::UNION, 2), 16, 1, 2, 0, 4, 3, offset];
        let after = [1, info(kind::INT, 0), 1, CHAR | 8];
        let mut patched = btf(&[&union(64)[..], &after].concat());
        correct_types(&mut patched).expect("well-formed");
        assert_eq!(patched, btf(&[&union(0)[..], &after].concat()));
    }

    #[test]
    fn damaged_types_are_refused() {
        let whole = btf(&[1, info(kind::INT, 0), 1, SIGNED | 8]);
        for length in [0, 1, 8, 24, 30] {
            assert!(correct_types(&mut whole[..length].to_vec()).is_err(), "cut at {length}");
        }
        assert!(correct_types(&mut btf(&[0, info(31, 0), 0])).is_err(), "unknown kind");
        assert!(correct(&mut whole.clone()).is_err(), "no object file");
    }
}
