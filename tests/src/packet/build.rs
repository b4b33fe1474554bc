//! From the packet as a value to its bytes.

use svclb_common::checksum;

use super::{
    builder::{Ethernet, Packet},
    field::{Field, Layer},
    network::{Fragment, Ip},
    sctp,
    transport::Transport,
};

/// The bytes.
impl Packet {
    /// The frame.
    pub fn build(&self) -> Vec<u8> {
        self.frame(&self.ip, self.transport_bytes())
    }

    /// The datagram cut into real fragments of at most `size` bytes of IP payload each (rounded
    /// down to a multiple of 8).
    ///
    /// # Panics
    /// If `size` is below 8.
    pub fn fragments(&self, size: usize) -> Vec<Vec<u8>> {
        let size = size & !7;
        let bytes = self.transport_bytes();
        let count = bytes.len().div_ceil(size);
        let part = |(i, chunk): (usize, &[u8])| {
            let fragment = Fragment { offset: (i * size) as u16, more: i + 1 < count };
            let ip = Ip { fragment: Some(fragment), ..self.ip.clone() };
            self.frame(&ip, chunk.to_vec())
        };
        bytes.chunks(size).enumerate().map(part).collect()
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let protocol = self.transport.protocol();
        let mut bytes = self.transport.header(self.payload.len());
        bytes.extend(&self.payload);
        self.write_fields(Layer::Transport, false, &mut bytes);
        if let Some(field) = self.transport.checksum() {
            let pseudo = self.ip.pseudo_sum(protocol, bytes.len());
            let pseudo = if self.transport.has_pseudo_header() { pseudo } else { 0 };
            let sum = !checksum::fold(checksum::sum(&bytes) + pseudo);
            // A UDP checksum of zero would say that there is none (RFC 768).
            let sum = if field == Field::UdpChecksum && sum == 0 { !0 } else { sum };
            field.write(&mut bytes, u16::from_be(sum));
        }
        if let Transport::Sctp(_) = self.transport {
            let crc = sctp::checksum(&bytes);
            bytes[sctp::CHECKSUM].copy_from_slice(&crc);
        }
        self.write_fields(Layer::Transport, true, &mut bytes);
        bytes
    }

    fn frame(&self, ip: &Ip, transport: Vec<u8>) -> Vec<u8> {
        let mut header = ip.header(self.transport.protocol(), transport.len());
        self.write_fields(Layer::Network, false, &mut header);
        if ip.src.is_ipv4() {
            let sum = !checksum::fold(checksum::sum(&header));
            Field::Ipv4Checksum.write(&mut header, u16::from_be(sum));
        }
        self.write_fields(Layer::Network, true, &mut header);
        let mut frame = self.ethernet_header();
        frame.extend(header);
        frame.extend(transport);
        frame.truncate(self.kept.unwrap_or(usize::MAX));
        frame
    }

    fn write_fields(&self, layer: Layer, checksums: bool, header: &mut [u8]) {
        for (field, value) in &self.overrides {
            if field.layer() == layer && field.is_checksum() == checksums {
                field.write(header, *value);
            }
        }
    }

    fn ethernet_header(&self) -> Vec<u8> {
        let Some(Ethernet { src, dst, ethertype }) = &self.ethernet else { return Vec::new() };
        let mut header = [*dst, *src].concat();
        for vlan in &self.vlans {
            header.extend(0x8100_u16.to_be_bytes());
            header.extend(vlan.to_be_bytes());
        }
        let own = if self.ip.src.is_ipv4() { 0x0800 } else { 0x86dd };
        header.extend(ethertype.unwrap_or(own).to_be_bytes());
        header
    }
}
