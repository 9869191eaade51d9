//! CRC-32 (IEEE 802.3, as in PNG and zip), of galleries and of models of version 1: `crc32fast` under `std`, a 1 KiB
//! table on a device.

#[cfg(feature = "std")]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(not(feature = "std"))]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    table(bytes)
}

#[cfg(any(not(feature = "std"), test))]
fn table(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values() {
        // The check value of the CRC catalog, and the empty message.
        for (bytes, expected) in [(&b"123456789"[..], 0xCBF4_3926), (b"", 0)] {
            assert_eq!(crc32(bytes), expected);
            assert_eq!(table(bytes), expected);
        }
    }
}
