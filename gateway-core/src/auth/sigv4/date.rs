//! Dates as signatures write them: `20241111T134546Z`, to the second, always UTC.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const BASIC: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const BASIC_LENGTH: usize = 16;
const END_OF_YEAR_9999: u64 = 253_402_300_799;

/// Seconds since 1970 as a date. Years beyond 9999 have no such form and stay at its last second.
pub(super) fn format(seconds: u64) -> String {
    let seconds = seconds.min(END_OF_YEAR_9999).cast_signed();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|date| date.format(BASIC).ok())
        .expect("every second from 1970 to 9999 is a date")
}

/// Reads a date in the basic form and in no other, to the letter.
pub(super) fn parse_basic(text: &str) -> Option<u64> {
    if text.len() != BASIC_LENGTH {
        return None;
    }
    let date = PrimitiveDateTime::parse(text, BASIC).ok()?;
    u64::try_from(date.assume_utc().unix_timestamp()).ok()
}

/// Reads the value of a `Date` header: HTTP's own form, or the basic form that some signers put
/// there.
pub(super) fn parse_http(text: &str) -> Option<u64> {
    const LONGEST: usize = 40;
    if text.len() > LONGEST {
        return None;
    }
    parse_basic(text).or_else(|| {
        let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        u64::try_from(date.unix_timestamp()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_to_the_letter() {
        #[track_caller]
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(parse_basic(text), expected, "{text:?}");
        }

        check("20241111T134546Z", Some(1_731_332_746));
        check("19700101T000000Z", Some(0));
        check("20240229T235959Z", Some(1_709_251_199));
        check("99991231T235959Z", Some(END_OF_YEAR_9999));
        check("20230229T235959Z", None);
        check("19691231T235959Z", None);
        check("20241111T134546", None);
        check("20241111t134546z", None);
        check("20241111T134560Z", None);
        check("20241231T235960Z", None);
        check("20241111T240000Z", None);
        check("20241311T134546Z", None);
        check("+0241111T134546Z", None);
        check("2024 111T134546Z", None);
        check("2024-11-11T13:45:46Z", None);
        check("２０２4T134546Z", None);
        check("", None);
    }

    #[test]
    fn a_date_header_may_have_either_form() {
        assert_eq!(
            parse_http("Mon, 11 Nov 2024 13:45:46 GMT"),
            Some(1_731_332_746)
        );
        assert_eq!(parse_http("20241111T134546Z"), Some(1_731_332_746));
        assert_eq!(parse_http("yesterday"), None);
        assert_eq!(parse_http(&"(".repeat(10_000)), None);
    }

    #[test]
    fn every_second_can_be_written() {
        assert_eq!(format(1_731_332_746), "20241111T134546Z");
        assert_eq!(format(u64::MAX), "99991231T235959Z");
    }
}
