//! The few lines of protobuf's wire format that a file of ONNX needs: numbered fields that hold
//! whole numbers, four bytes, or bytes with their length in front.

const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FOUR: u64 = 5;

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number; negative ones take ten bytes, as there.
    pub(crate) fn int(&mut self, field: u64, value: i64) -> &mut Self {
        self.varint(field << 3 | VARINT);
        self.varint(value as u64);
        self
    }

    pub(crate) fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.varint(field << 3 | FOUR);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.begin(field, value.len() as u64);
        self.0.extend(value);
        self
    }

    pub(crate) fn text(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(&mut self, field: u64, value: &Message) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// The beginning of a field whose bytes come later.
    pub(crate) fn begin(&mut self, field: u64, length: u64) -> &mut Self {
        self.varint(field << 3 | BYTES);
        self.varint(length);
        self
    }

    /// A pair of texts, as `StringStringEntryProto` holds it.
    pub(crate) fn pair(&mut self, field: u64, key: &str, value: &str) -> &mut Self {
        let mut pair = Self::default();
        pair.text(1, key).text(2, value);
        self.message(field, &pair)
    }
}
