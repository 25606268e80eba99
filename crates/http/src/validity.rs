//! From when until when a certificate is valid: the one field of X.509 that its owner must hear of.

use budwood_base::calendar;

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The validity of a certificate in DER (RFC 5280, section 4.1); none if it is not as expected.
pub(crate) fn of(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = element(certificate)?;
    let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
    if let (VERSION, _, after) = element(rest)? {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, times, _) = element(rest)? else { return None };
    let (kind, from, rest) = element(times)?;
    let from = moment(kind, from)?;
    let (kind, until, _) = element(rest)?;
    Some(Validity { from, until: moment(kind, until)? })
}

/// Tag and content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn moment(kind: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |i: usize| rest[2 * i..2 * i + 2].parse::<i64>().ok();
    let days = calendar::days(year, part(0)?, part(1)?);
    Some(days * 86_400 + part(2)? * 3600 + part(3)? * 60 + part(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let utc = |text: &str| moment(UTC_TIME, text.as_bytes());
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("000229000000Z"), Some(951_782_400));
        assert_eq!(utc("261126080206Z"), Some(1_795_680_126));
        assert_eq!(moment(GENERALIZED_TIME, b"21000301000000Z"), Some(4_107_542_400));
        for bad in ["", "Z", "7001010000Z", "70010100000xZ", "700101000000"] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_cut_off_is_read_past_its_end() {
        for n in 0..300usize {
            let bytes: Vec<u8> = (0..n).map(|i| [0x30, 0x82, 0xff, 0x17, 0x84][i % 5]).collect();
            let _ = of(&bytes);
        }
    }
}
