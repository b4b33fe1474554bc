//! Who owns a service id: value of `names`, for people, `svclb get` and bpftool.

use crate::plain_data;

/// The longest namespace: a DNS label (RFC 1123).
pub const NAMESPACE: usize = 63;
/// The longest name of a Service: a DNS label (RFC 1035).
pub const NAME: usize = 63;
/// The longest name of a port: an IANA service name (RFC 6335 has 15; Kubernetes allows a label).
pub const PORT_NAME: usize = 63;

/// The kind of object that owns a frontend.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnerKind {
    /// A Kubernetes Service.
    Service = 1,
}

/// The owner of a service id. Texts end at the first zero byte.
///
/// The texts are `i8`, as C's `char`, so that bpftool prints them as strings.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Namespace of the object.
    pub namespace: [i8; NAMESPACE + 1],
    /// Name of the object.
    pub name: [i8; NAME + 1],
    /// Name of the port; empty where the only port has none.
    pub port_name: [i8; PORT_NAME + 1],
    /// Port number, host order.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    /// One of [`OwnerKind`].
    pub kind: u8,
    /// Always zero.
    pub pad: [u8; 3],
}

const _: () = assert!(size_of::<Owner>() == 200);
plain_data!(Owner);

/// `text` as a map holds it, cut where it does not fit (the API server's limits are the sizes).
pub fn text<const N: usize>(text: &str) -> [i8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes[..N - 1].iter_mut().zip(text.bytes()) {
        *to = from.cast_signed();
    }
    bytes
}

/// The text that a map holds; what is not ASCII is shown as `?`.
pub fn chars(bytes: &[i8]) -> impl Iterator<Item = char> {
    bytes
        .iter()
        .map(|b| b.cast_unsigned())
        .take_while(|b| *b != 0)
        .map(|b| if b.is_ascii() { char::from(b) } else { '?' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_the_map_and_are_cut_at_its_size() {
        let read = |bytes: &[i8]| chars(bytes).collect::<String>();
        assert_eq!(read(&text::<64>("kube-dns")), "kube-dns");
        assert_eq!(read(&text::<4>("kube-dns")), "kub");
        assert_eq!(read(&text::<4>("")), "");
    }
}
