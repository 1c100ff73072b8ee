//! The wire format of Protobuf, read by hand: numbered fields of four kinds. It shares no code with what writes the messages,
//! so that both agree with the format or with neither.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in its order.
pub fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)),
            1 => Value::Fixed64(u64::from_le_bytes(
                take(&mut bytes, 8).try_into().expect("8 bytes"),
            )),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                Value::Bytes(take(&mut bytes, length))
            }
            5 => Value::Fixed32(u32::from_le_bytes(
                take(&mut bytes, 4).try_into().expect("4 bytes"),
            )),
            kind => panic!("a field of kind {kind}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

/// The messages, texts or bytes in all fields with a number.
pub fn each(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    let fields = fields(message).into_iter();
    fields.filter_map(move |(of, value)| match value {
        Value::Bytes(bytes) if of == number => Some(bytes),
        Value::Bytes(_) => None,
        other => {
            assert_ne!(of, number, "{other:?}");
            None
        }
    })
}

/// The last value of a field: that which counts.
pub fn one(message: &[u8], number: u64) -> Option<Value<'_>> {
    let fields = fields(message).into_iter().rev();
    let mut fields = fields.filter(|(of, _)| *of == number);
    fields.next().map(|(_, value)| value)
}

/// The number in a field; 0, which is not written, where there is none.
pub fn number(message: &[u8], of: u64) -> u64 {
    match one(message, of) {
        None => 0,
        Some(Value::Varint(number) | Value::Fixed64(number)) => number,
        Some(other) => panic!("field {of} is {other:?}"),
    }
}

/// The text in a field; empty where there is none.
pub fn text(message: &[u8], of: u64) -> String {
    String::from_utf8(bytes(message, of).to_vec()).expect("a text")
}

/// The bytes in a field; none where there is none.
pub fn bytes(message: &[u8], of: u64) -> &[u8] {
    match one(message, of) {
        None => &[],
        Some(Value::Bytes(bytes)) => bytes,
        Some(other) => panic!("field {of} is {other:?}"),
    }
}

/// Takes a number of the variable length that its size needs.
fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number of more than 64 bits");
}

/// Takes the first bytes.
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(length).expect("a whole message");
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own documentation.
    #[test]
    fn reads_the_examples_of_the_format() {
        assert_eq!(fields(&[0x08, 0x96, 0x01]), [(1, Value::Varint(150))]);
        assert_eq!(
            text(&[0x12, 7, b't', b'e', b's', b't', b'i', b'n', b'g'], 2),
            "testing"
        );
        let nested = [0x1a, 0x03, 0x08, 0x96, 0x01];
        assert_eq!(number(bytes(&nested, 3), 1), 150);
        assert_eq!((number(&nested, 9), text(&nested, 8)), (0, String::new()));
        assert_eq!(fields(&[0x35, 1, 0, 0, 0]), [(6, Value::Fixed32(1))]);
        assert_eq!(number(&[0x39, 2, 0, 0, 0, 0, 0, 0, 0], 7), 2);
    }
}
