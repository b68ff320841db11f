//! Keys of meta commands in base64.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of these bytes.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for block in bytes.chunks(3) {
        let byte = |at: usize| u32::from(*block.get(at).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |shift: u32| ALPHABET[(bits >> shift & 0x3f) as usize];
        text.extend([18, 12, 6, 0].map(letter));
        let padding = 3 - block.len();
        let end = text.len();
        text[end - padding..].fill(b'=');
    }
    text
}

/// The bytes of this text. Letters of no meaning are left out, and nothing is read behind the first
/// padding.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let value = |letter: u8| match letter {
        b'=' => Some(0),
        _ => ALPHABET.iter().position(|&known| known == letter),
    };
    let letters = text.iter().filter(|&&letter| value(letter).is_some());
    let letters: Vec<u8> = letters.copied().collect();
    if !letters.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::new();
    for block in letters.chunks(4) {
        let add = |bits: u32, &letter: &u8| bits << 6 | value(letter).unwrap_or(0) as u32;
        let bits = block.iter().fold(0, add);
        let padding = block.iter().filter(|&&letter| letter == b'=').count();
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend(three);
        if padding > 2 {
            return None;
        }
        if padding > 0 {
            bytes.truncate(bytes.len() - padding);
            break;
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (bytes, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text.as_bytes());
            assert_eq!(decode(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn what_is_no_base64_is_refused_or_left_out() {
        for text in ["", "Zg", "Z===", "====", "-"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"Z-g=.=").unwrap(), b"f");
        assert_eq!(decode(b"Zg==Zg==").unwrap(), b"f");
    }
}
