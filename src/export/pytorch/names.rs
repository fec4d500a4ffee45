//! Names of a file as Python identifiers.

use std::collections::{HashMap, HashSet};

/// Words that a local or an attribute must not be: Python's own, what the generated code uses, and what `nn.Module` has.
const TAKEN: &str = "and as assert async await break class continue def del elif else except finally for from global if \
import in is lambda nonlocal not or pass raise return try while with yield None True False match case print self torch nn F \
math float int bool str len list tuple range max min sum abs round slice zip enumerate reversed sorted super isinstance axis Model load \
QuantizeLinear DequantizeLinear T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda \
double dump_patches eval extra_repr forward get_buffer get_extra_state get_parameter get_submodule half ipu \
load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters \
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook \
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module \
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state \
set_submodule share_memory state_dict to to_empty train training type xpu zero_grad";

/// Longer names are cut: fused operators carry those of all their parts.
const MOST_CHARS: usize = 48;

/// Gives every name once.
pub(super) struct Names {
    given: HashSet<String>,
    next_number: HashMap<String, usize>,
}

impl Names {
    pub fn new() -> Self {
        Names { given: TAKEN.split_whitespace().map(str::to_owned).collect(), next_number: HashMap::new() }
    }

    /// An identifier like `wish` that was not given before.
    pub fn give(&mut self, wish: &str) -> String {
        let base = identifier(wish);
        let mut name = base.clone();
        while !self.given.insert(name.clone()) {
            let number = self.next_number.entry(base.clone()).or_insert(0);
            *number += 1;
            name = format!("{base}_{number}");
        }
        name
    }
}

/// ASCII letters, digits and single underscores; a letter first.
fn identifier(wish: &str) -> String {
    let wish = wish.split(';').next().unwrap_or_default();
    let wish = wish.strip_suffix(":0").unwrap_or(wish);
    let mut name = String::new();
    for c in wish.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !(name.is_empty() || name.ends_with('_')) {
            name.push(c);
        }
        if name.len() >= MOST_CHARS {
            break;
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => "value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("x{name}"),
        Some(_) => name.to_owned(),
    }
}

/// Text of a file inside a comment: one line, ASCII that is no control character, not long.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        let mut names = Names::new();
        let wishes = ["model/conv2d/BiasAdd:0", "/layer1.0/Conv", "12", "", "for", "train", "é\n\"); import os #"];
        let given: Vec<String> = wishes.iter().map(|wish| names.give(wish)).collect();
        assert_eq!(given, ["model_conv2d_BiasAdd", "layer1_0_Conv", "x12", "value", "for_1", "train_1", "value_1"]);
        assert_eq!(names.give("12"), "x12_1");
        assert!(names.give(&"a".repeat(500)).len() <= MOST_CHARS);
        assert_eq!(comment("N\nimport os"), "N?import os");
    }
}
