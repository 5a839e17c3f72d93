//! Reads `limits`: a preset, and figures that stand over it.

use gateway_core::resource::{Limits, Preset};

use crate::config::reader::{Cursor, Fields};

/// `0` turns off what can be turned off.
pub(super) fn read(cursor: &Cursor<'_>, default_preset: Preset) -> Option<Limits> {
    let mut fields = cursor.fields()?;
    let preset = fields.read("preset", |cursor| {
        cursor.one_of(&[("open", Preset::Open), ("aws", Preset::Aws)])
    });
    let mut limits = Limits::preset(preset.unwrap_or(default_preset));
    let (f, l) = (&mut fields, &mut limits);
    set_or_off(f, "maxMessageBytes", &mut l.max_message_bytes, Cursor::size);
    set_or_off(f, "maxFrameBytes", &mut l.max_frame_bytes, Cursor::size);
    set_or_off(f, "sendFrameBytes", &mut l.send_frame_bytes, Cursor::size);
    set_or_off(f, "idleTimeout", &mut l.idle_timeout, Cursor::duration);
    set_or_off(f, "maxAge", &mut l.max_age, Cursor::duration);
    f.set("maxAgeJitter", &mut l.max_age_jitter, share);
    set_or_off(f, "pingInterval", &mut l.ping_interval, Cursor::duration);
    f.set(
        "pongTimeout",
        &mut l.pong_timeout,
        Cursor::positive_duration,
    );
    f.set("binary", &mut l.binary, Cursor::boolean);
    f.set("alwaysText", &mut l.always_text, Cursor::boolean);
    f.set("concurrency", &mut l.concurrency, |at| at.count(1));
    let hold = &mut l.hold_push_during_connect;
    f.set("holdPushDuringConnect", hold, Cursor::boolean);
    set_or_off(
        f,
        "messagesPerSecond",
        &mut l.messages_per_second,
        Cursor::number,
    );
    let rate = &mut l.messages_per_second_per_address;
    set_or_off(f, "messagesPerSecondPerAddress", rate, Cursor::number);
    set_or_off(
        f,
        "connectsPerSecond",
        &mut l.connects_per_second,
        Cursor::number,
    );
    f.set("maxFragments", &mut l.max_fragments, |at| at.count(1));
    let time = &mut l.message_timeout;
    f.set("messageTimeout", time, Cursor::positive_duration);
    f.set(
        "maxQueueBytes",
        &mut l.max_queue_bytes,
        Cursor::positive_size,
    );
    f.set(
        "writeTimeout",
        &mut l.write_timeout,
        Cursor::positive_duration,
    );
    let rate = &mut l.control_frames_per_second;
    f.set("controlFramesPerSecond", rate, positive_number);
    fields.finish();
    Some(limits)
}

/// Overwrites a figure that `0` turns off.
fn set_or_off<'a, T: Default + PartialEq>(
    fields: &mut Fields<'a>,
    key: &'static str,
    target: &mut Option<T>,
    read: fn(&Cursor<'a>) -> Option<T>,
) {
    if let Some(figure) = fields.read(key, read) {
        *target = Some(figure).filter(|figure| *figure != T::default());
    }
}

fn positive_number(cursor: &Cursor<'_>) -> Option<f64> {
    let number = cursor.number()?;
    if number <= 0.0 {
        cursor.mistake("this rate cannot be turned off; it must be more than 0");
        return None;
    }
    Some(number)
}

fn share(cursor: &Cursor<'_>) -> Option<f64> {
    let share = cursor.number()?;
    if share >= 1.0 {
        cursor.expected("a share from 0 to less than 1, such as 0.1", None);
        return None;
    }
    Some(share)
}
