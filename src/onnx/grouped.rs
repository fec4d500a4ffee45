//! Numbers with thousands separators, as the messages show byte offsets.

/// `51234` as `51,234`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 51234, 1234567].map(super::grouped), ["0", "999", "1,000", "51,234", "1,234,567"]);
    }
}
