//! What JSON may take in memory before it is read as a value: a text of lists in lists takes a
//! hundred times its length.

/// Bytes that a list, an object and a value take at least, as `serde_json` holds them.
const LIST: u64 = 300;
const OBJECT: u64 = 600;
const VALUE: u64 = 144;
/// Memory that a text may take: so many times its length, and so many bytes.
const TIMES: u64 = 16;
const MORE: u64 = 64_000_000;

/// Refuses a text that would take much more memory than files of its length do. What it counts is
/// an upper bound, as words may hold these characters, too.
///
/// # Errors
/// If it would, in words that follow the name of the file.
pub fn check(text: &[u8]) -> Result<(), String> {
    let (mut pieces, mut bytes) = (0_u64, 0_u64);
    for byte in text {
        let taken = match byte {
            b'[' => LIST,
            b'{' => OBJECT,
            b',' => VALUE,
            _ => continue,
        };
        (pieces, bytes) = (pieces + 1, bytes + taken);
    }
    if bytes <= TIMES * text.len() as u64 + MORE {
        return Ok(());
    }
    let length = text.len();
    Err(format!(
        "holds {pieces} lists, objects and values in {length} bytes; such a file is not read"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dense_is_refused_and_files_are_not() {
        for dense in ["[", "{\"\":", "[],", "0,"] {
            assert!(check(dense.repeat(2_000_000).as_bytes()).is_err(), "{dense}");
            assert_eq!(check(dense.repeat(1000).as_bytes()), Ok(()), "{dense}");
        }
        // A header of safetensors, and names of classes.
        let tensor = r#""layers.1.ffn_out.weight":{"dtype":"F32","shape":[768,3072],"data_offsets":[0,9437184]},"#;
        assert_eq!(check(tensor.repeat(100_000).as_bytes()), Ok(()));
        assert_eq!(check(r#""class 12345", "#.repeat(300_000).as_bytes()), Ok(()));
    }
}
