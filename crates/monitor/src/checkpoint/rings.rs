//! Steps of three lengths as bytes.

use prost::encoding::{decode_varint, encode_varint};

use super::{RestoreError, check, messages};
use crate::history::{Cell, LEVELS, Packed, Packer, Rings};

pub(super) fn message<C: Cell>(rings: &Rings<C>) -> messages::Rings {
    let mut message = messages::Rings::default();
    let mut packer = Packer::default();
    for level in 0..LEVELS.len() {
        let mut closed = Vec::new();
        let mut last = 0;
        for Packed { number, bytes } in rings.closed(level) {
            write(number - last, bytes, &mut closed);
            last = *number;
        }
        message.closed.push(closed);
        let mut open = Vec::new();
        if let Some((number, cell)) = rings.open(level) {
            cell.pack(&mut packer);
            write(*number, &packer.take(), &mut open);
        }
        message.open.push(open);
    }
    message
}

fn write(number: u32, packed: &[u8], bytes: &mut Vec<u8>) {
    encode_varint(number.into(), bytes);
    encode_varint(packed.len() as u64, bytes);
    bytes.extend_from_slice(packed);
}

pub(super) fn restored<C: Cell>(message: Option<&messages::Rings>, now: u64) -> Result<Rings<C>, RestoreError> {
    let message = message.ok_or_else(|| RestoreError::invalid("rings", "missing"))?;
    let is_complete = message.closed.len() == LEVELS.len() && message.open.len() == LEVELS.len();
    check(is_complete, "rings", "not of three lengths")?;
    let mut rings = Rings::default();
    for (level, (closed, open)) in message.closed.iter().zip(&message.open).enumerate() {
        let newest = now / LEVELS[level].step;
        let mut rest = &closed[..];
        let mut last = 0;
        while !rest.is_empty() {
            let packed = read(&mut rest, last, newest).filter(|packed| {
                last = packed.number;
                rings.restore_closed(level, packed.clone())
            });
            check(packed.is_some(), "closed", "no steps in their order")?;
        }
        let mut rest = &open[..];
        if !rest.is_empty() {
            let packed = read(&mut rest, 0, newest).filter(|packed| rings.restore_open(level, packed));
            check(packed.is_some() && rest.is_empty(), "open", "no step")?;
        }
    }
    Ok(rings)
}

/// A step whose number is at most `newest`.
fn read(rest: &mut &[u8], last: u32, newest: u64) -> Option<Packed> {
    let number = decode_varint(rest).ok()?.checked_add(last.into()).filter(|number| *number <= newest)?;
    let length = decode_varint(rest).ok()?;
    let (bytes, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(Packed { number: u32::try_from(number).ok()?, bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::Budget;
    use crate::time::DAY;

    // Steps come back, open and closed; none is taken that begins after the newest time told.
    #[test]
    fn steps_of_the_future_are_refused() {
        let (mut rings, mut packer) = (Rings::<Budget>::default(), Packer::default());
        for number in 0..100 {
            rings.at((20 + number) * DAY / 20, &mut packer).total += number;
        }
        let message = message(&rings);
        let now = 119 * DAY / 20;
        let back = restored::<Budget>(Some(&message), now).map(|rings| rings.window(now + 1, DAY).total);
        assert_eq!(back, Ok(rings.window(now + 1, DAY).total));
        assert!(restored::<Budget>(Some(&message), now - DAY).is_err());
    }
}
