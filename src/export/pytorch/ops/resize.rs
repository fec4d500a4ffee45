//! Resizing of images.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    match node.op_type() {
        "Resize" => resize(emitter, node)?,
        "Upsample" => upsample(emitter, node)?,
        "DepthToSpace" | "SpaceToDepth" => blocks(emitter, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a resize does to every axis.
struct How<'a> {
    scales: Option<Vec<f32>>,
    sizes: Option<String>,
    mode: &'a str,
    transform: &'a str,
    nearest: &'a str,
}

fn resize(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let word = |name: &str, default: &'static str, known: &'static [&'static str]| {
        let given = node.string(name).unwrap_or(default);
        known.iter().find(|word| **word == given).copied().ok_or_else(|| format!("{name} {given:?}"))
    };
    let mode = word("mode", "nearest", &["nearest", "linear", "cubic"])?;
    let transforms = &["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"];
    // Operator set 10 knows asymmetric coordinates and floor only.
    let old = emitter.opset() < 11;
    let transform = if old { "asymmetric" } else { word("coordinate_transformation_mode", "half_pixel", transforms)? };
    let rounded = &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
    let nearest = if old { "floor" } else { word("nearest_mode", "round_prefer_floor", rounded)? };
    word("keep_aspect_ratio_policy", "stretch", &["stretch"])?;
    if node.int("antialias").unwrap_or(0) != 0 || !node.ints("axes").is_empty() {
        return Err("a resize with antialias, or of chosen axes".into());
    }
    let (scales_at, sizes_at) = if old { (1, 3) } else { (2, 3) };
    let scales = emitter.constant_input(node, scales_at).and_then(|tensor| tensor.to_f32().ok());
    let scales = scales.filter(|scales| !scales.is_empty());
    let sizes = match (&scales, node.input_name(sizes_at)) {
        (None, Some(_)) => Some(emitter.list_input(node, sizes_at)?),
        (None, None) => return Err("scales that are computed".into()),
        _ => None,
    };
    emit(emitter, node, &How { scales, sizes, mode, transform, nearest })
}

fn upsample(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let mode = match node.string("mode").unwrap_or("nearest") {
        "nearest" => "nearest",
        "linear" | "bilinear" => "linear",
        other => return Err(format!("mode {other:?}").into()),
    };
    let attribute = NodeExt::attribute(node, "scales").map(|attribute| attribute.floats.clone());
    let input = emitter.constant_input(node, 1).and_then(|tensor| tensor.to_f32().ok());
    let scales = attribute.or(input).ok_or("scales that are computed")?;
    let how = How { scales: Some(scales), sizes: None, mode, transform: "asymmetric", nearest: "floor" };
    emit(emitter, node, &how)
}

fn emit(emitter: &mut Emitter<'_>, node: &NodeProto, how: &How<'_>) -> Result<(), Refusal> {
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let whole = |scale: &f32| scale.fract() == 0.0 && (1.0..=1e6).contains(scale);
    if let (Some([batch, channels, image @ ..]), "nearest", "asymmetric", "floor") =
        (how.scales.as_deref(), how.mode, how.transform, how.nearest)
        && *batch == 1.0
        && *channels == 1.0
        && (1..=3).contains(&image.len())
        && image.iter().all(whole)
    {
        let factors: Vec<i64> = image.iter().map(|&scale| scale as i64).collect();
        let factors = if factors.len() == 1 { code::size(&factors) } else { code::tuple(&factors) };
        emitter.module_of(&name, &format!("nn.Upsample(scale_factor={factors}, mode=\"nearest\")"), vec![]);
        emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
        return Ok(());
    }
    let helper = emitter.helper("_resize");
    let sizes = match (&how.scales, &how.sizes) {
        (Some(scales), _) => {
            format!("scales=[{}]", scales.iter().map(|&v| code::double(v)).collect::<Vec<_>>().join(", "))
        }
        (None, sizes) => format!("sizes={}", sizes.as_deref().unwrap_or("[]")),
    };
    let mut arguments = format!("{x}, {sizes}, mode=\"{}\", transform=\"{}\"", how.mode, how.transform);
    match how.mode {
        "nearest" => arguments += &format!(", nearest=\"{}\"", how.nearest),
        "cubic" => {
            let exclude = code::boolean(node.int("exclude_outside").unwrap_or(0) != 0);
            let coefficient = code::float(node.float("cubic_coeff_a").unwrap_or(-0.75));
            arguments += &format!(", a={coefficient}, exclude={exclude}");
        }
        _ => {}
    }
    emitter.assign(node, 0, &name, &format!("{helper}({arguments})"));
    Ok(())
}

fn blocks(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let block = node.int("blocksize").filter(|&block| block > 0).ok_or("no blocksize")?;
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let size = format!("{x}.shape[0], {x}.shape[1]");
    let expression = match (node.op_type(), node.string("mode").unwrap_or("DCR")) {
        ("SpaceToDepth", _) => {
            let split = format!("{size}, {x}.shape[2] // {block}, {block}, {x}.shape[3] // {block}, {block}");
            format!("{x}.reshape({split}).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)")
        }
        (_, "CRD") => format!("F.pixel_shuffle({x}, {block})"),
        (_, "DCR") => {
            let split = format!("{x}.shape[0], {block}, {block}, -1, {x}.shape[2], {x}.shape[3]");
            format!("{x}.reshape({split}).permute(0, 3, 4, 1, 5, 2).flatten(4, 5).flatten(2, 3)")
        }
        (_, other) => return Err(format!("mode {other:?}").into()),
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}
