//! Pooling.

use super::arguments;
use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::export::pytorch::pads::{Pads, Window, torch_pads};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    match node.op_type() {
        "MaxPool" => max(emitter, node)?,
        "AveragePool" => average(emitter, node)?,
        "GlobalAveragePool" => global(emitter, node, "AvgPool", "torch.mean")?,
        "GlobalMaxPool" => global(emitter, node, "MaxPool", "torch.amax")?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn window(emitter: &Emitter<'_>, node: &NodeProto) -> Result<Window, Refusal> {
    Window::read(emitter, node, node.ints("kernel_shape").to_vec())
}

fn max(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    if node.output_name(1).is_some() {
        return Err("MaxPool that gives positions".into());
    }
    let mut window = window(emitter, node)?;
    // torch pads by half a window at most.
    if let Pads::Even(pads) = &window.pads
        && pads.iter().zip(&window.kernel).any(|(pad, kernel)| pad * 2 > *kernel)
    {
        window.pads = Pads::Uneven(pads.clone(), pads.clone());
    }
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let (x, padding) = window.padded(emitter, x, &name, "float(\"-inf\")");
    let mut how = vec![("stride", code::size(&window.strides))];
    how.extend(padding.iter().any(|&pad| pad != 0).then(|| ("padding", code::size(&padding))));
    let dilated = window.dilations.iter().any(|&dilation| dilation != 1);
    how.extend(dilated.then(|| ("dilation", code::size(&window.dilations))));
    how.extend((node.int("ceil_mode").unwrap_or(0) != 0).then(|| ("ceil_mode", "True".to_owned())));
    let sizes = format!("{}, {}", code::size(&window.kernel), arguments(&how));
    emitter.module_of(&name, &format!("nn.MaxPool{}d({sizes})", window.kernel.len()), vec![]);
    emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
    Ok(())
}

fn average(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let window = window(emitter, node)?;
    if window.dilations.iter().any(|&dilation| dilation != 1) {
        return Err("AveragePool with dilations".into());
    }
    let axes = window.kernel.len();
    let count_padding = node.int("count_include_pad").unwrap_or(0) != 0;
    let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let mut how = vec![("stride", code::size(&window.strides))];
    how.extend(ceil.then(|| ("ceil_mode", "True".to_owned())));
    let fits = match &window.pads {
        Pads::Even(pads) => pads.iter().zip(&window.kernel).all(|(pad, kernel)| pad * 2 <= *kernel),
        _ => false,
    };
    if fits || count_padding {
        let (x, padding) = if fits {
            let Pads::Even(pads) = &window.pads else { return Err("pads".into()) };
            (x, pads.clone())
        } else {
            let uneven = match &window.pads {
                Pads::Even(pads) => Window { pads: Pads::Uneven(pads.clone(), pads.clone()), ..copied(&window) },
                Pads::Uneven(begin, end) => {
                    Window { pads: Pads::Uneven(begin.clone(), end.clone()), ..copied(&window) }
                }
                Pads::Same(upper) => Window { pads: Pads::Same(*upper), ..copied(&window) },
            };
            uneven.padded(emitter, x, &name, "0.0")
        };
        let padded = padding.iter().any(|&pad| pad != 0);
        how.extend(padded.then(|| ("padding", code::size(&padding))));
        how.extend((padded && !count_padding).then(|| ("count_include_pad", "False".to_owned())));
        let sizes = format!("{}, {}", code::size(&window.kernel), arguments(&how));
        emitter.module_of(&name, &format!("nn.AvgPool{axes}d({sizes})"), vec![]);
        emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
        return Ok(());
    }
    let pads = match &window.pads {
        Pads::Even(pads) => code::tuple(&torch_pads(pads, pads)),
        Pads::Uneven(begin, end) => code::tuple(&torch_pads(begin, end)),
        Pads::Same(upper) => {
            let helper = emitter.helper("_same_pads");
            let lists = [&window.kernel, &window.strides, &window.dilations].map(|list| code::list(list)).join(", ");
            format!("{helper}({x}, {lists}, {})", code::boolean(*upper))
        }
    };
    let helper = emitter.helper("_average_pool");
    how.insert(0, ("kernel_size", code::size(&window.kernel)));
    emitter.assign(node, 0, &name, &format!("{helper}({x}, F.avg_pool{axes}d, {pads}, {})", arguments(&how)));
    Ok(())
}

fn copied(window: &Window) -> Window {
    Window {
        kernel: window.kernel.clone(),
        strides: window.strides.clone(),
        dilations: window.dilations.clone(),
        pads: Pads::Same(true),
    }
}

fn global(emitter: &mut Emitter<'_>, node: &NodeProto, module: &str, function: &str) -> Result<(), Refusal> {
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    match emitter.rank(node, 0) {
        Some(rank @ 3..=5) => {
            emitter.module_of(&name, &format!("nn.Adaptive{module}{}d(1)", rank - 2), vec![]);
            emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
        }
        _ => {
            let axes = format!("dim=list(range(2, {x}.dim())), keepdim=True");
            emitter.assign(node, 0, &name, &format!("{function}({x}, {axes})"));
        }
    }
    Ok(())
}
