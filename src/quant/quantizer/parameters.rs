//! Scales and zero points of everything that is marked.

use super::Ranges;
use super::error::QuantizeError;
use super::graph::Graph;
use super::marks::{Mark, MarkKind, Marks};
use super::note::Note;
use super::options::QuantizeOptions;
use super::selection::Selection;
use crate::onnx::OnnxError;
use crate::quant::scales::{ScaleError, ScaleRule, bias_params, widen_for_bias};
use crate::quant::table::TableFormat;
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// What is known of a marked tensor.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub params: QuantParams,
    /// The tensor whose scale and zero point these are: the tensor itself, or the first of a chain that hands its on.
    pub owner: String,
    /// The data of a constant.
    pub constant: Option<Tensor>,
}

/// All parameters, by tensor.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    pub tensors: BTreeMap<String, Parameter>,
    pub biases: BTreeMap<String, Parameter>,
    pub notes: Vec<Note>,
}

/// Computes them: constants, then widening for biases, then activations, then those that share, then biases.
pub(super) fn of(
    graph: &Graph,
    selection: &Selection,
    ranges: &Ranges,
    options: &QuantizeOptions,
) -> Result<Parameters, QuantizeError> {
    let marks = &selection.marks;
    let mut found = Parameters::default();
    let mut ties = Vec::new();
    for (tensor, mark) in marks.in_order().into_iter().filter(|(_, mark)| mark.shared_with.is_none()) {
        let parameter = match graph.tensor(tensor) {
            Some(data) => {
                let data = data?;
                let params = constant_params(tensor, &data, mark, options)
                    .map_err(|source| QuantizeError::Scale { tensor: tensor.to_owned(), source })?;
                Parameter { params, owner: tensor.to_owned(), constant: Some(data) }
            }
            None => {
                let known_as = selection.known_as(tensor);
                let mut params = activation_params(graph, tensor, known_as, ranges, options)?;
                let tie = |range: &(f32, f32)| !options.activations_symmetric && is_tie(*range, &params);
                if mark.fixed.is_none() && ranges.get(known_as).is_some_and(tie) {
                    ties.push(known_as.to_owned());
                }
                if let Some((scale, zero_point)) = mark.fixed {
                    (params.scale, params.zero_point) = (vec![scale], vec![zero_point]);
                }
                Parameter { params, owner: known_as.to_owned(), constant: None }
            }
        };
        found.tensors.insert(tensor.to_owned(), parameter);
    }
    if !ties.is_empty() {
        found.notes.push(Note::ZeroPointTies { tensors: ties });
    }
    found.share(graph, marks)?;
    if options.widen_weight_for_bias {
        found.widen(graph, marks, ranges, options)?;
    }
    if options.quantize_bias || options.format == TableFormat::QOperator {
        found.add_biases(graph, marks)?;
    }
    Ok(found)
}

/// The parameters of an activation from its range, which is that of the tensor that it is known as.
fn activation_params(
    graph: &Graph,
    tensor: &str,
    known_as: &str,
    ranges: &Ranges,
    options: &QuantizeOptions,
) -> Result<QuantParams, QuantizeError> {
    let changed = options.overrides.get(tensor).or_else(|| options.overrides.get(known_as));
    let rule = options.activation_rule(changed);
    let (scale, zero_point) = match changed.and_then(|changed| changed.params) {
        Some(params) => params,
        None => {
            let range = changed.and_then(|changed| changed.range).or_else(|| ranges.get(known_as).copied());
            let (low, high) = range.ok_or_else(|| QuantizeError::NoRange(known_as.to_owned()))?;
            rule.scale(low, high, graph.dtype(known_as).unwrap_or(DType::Float32))
                .map_err(|source| QuantizeError::Scale { tensor: tensor.to_owned(), source })?
        }
    };
    let (scale, zero_point) = (vec![scale], vec![zero_point]);
    Ok(QuantParams { scale, zero_point, dtype: rule.dtype, granularity: Granularity::PerTensor })
}

/// How near to the middle of two integers a zero point counts as between them: some last bits of an f32 scale.
const NEAR_TIE: f64 = 1e-5;

/// Whether a range's zero point lies between two integers, so that its rounding hangs on the last bit of the scale. A
/// zero point that is no rounded one (of symmetric ranges) is none.
fn is_tie((low, _): (f32, f32), params: &QuantParams) -> bool {
    let (Some(&scale), Some(&zero_point)) = (params.scale.first(), params.zero_point.first()) else { return false };
    let Some((lowest, _)) = params.dtype.int_range() else { return false };
    let exact = lowest as f64 - f64::from(low.min(0.0)) / f64::from(scale);
    let off = (exact - f64::from(zero_point)).abs();
    (off - 0.5).abs() <= NEAR_TIE
}

/// The parameters of a constant from its values. Constants that are added or multiplied have the type of activations.
///
/// QDQ: these have the symmetry of activations and the reduced range of weights; a scale for each channel is always
/// symmetric, because kernels want one zero point. QOperator: they have the symmetry of weights where the types are the
/// same, and the full range.
fn constant_params(
    tensor: &str,
    data: &Tensor,
    mark: &Mark,
    options: &QuantizeOptions,
) -> Result<QuantParams, ScaleError> {
    let changed = options.overrides.get(tensor).cloned().unwrap_or_default();
    let weight = mark.kind == MarkKind::Weight;
    let qdq = options.format == TableFormat::Qdq;
    let usual = if weight { options.weight_type } else { options.activation_type };
    let dtype = changed.dtype.or(mark.dtype).unwrap_or(usual);
    let axis = changed.axis.unwrap_or(mark.axis);
    if let Some((scale, zero_point)) = changed.params {
        let (scale, zero_point) = (vec![scale], vec![zero_point]);
        return Ok(QuantParams { scale, zero_point, dtype, granularity: Granularity::PerTensor });
    }
    let symmetric = match weight || (!qdq && dtype == options.weight_type) {
        true => options.symmetric_weights(dtype),
        false => options.activations_symmetric,
    };
    let rule = ScaleRule {
        dtype,
        symmetric: changed.symmetric.unwrap_or(symmetric || (qdq && axis.is_some())),
        reduce_range: changed.reduce_range.unwrap_or(options.reduce_range && (qdq || weight)),
        all_numbers: weight && options.weights_use_all_numbers,
        min_real_range: options.min_real_range,
    };
    match changed.range.filter(|_| axis.is_none()) {
        Some((low, high)) => {
            let (scale, zero_point) = rule.scale(low, high, data.dtype())?;
            let (scale, zero_point) = (vec![scale], vec![zero_point]);
            Ok(QuantParams { scale, zero_point, dtype, granularity: Granularity::PerTensor })
        }
        None => rule.params(data, axis),
    }
}

impl Parameters {
    /// Widens the scales of symmetric signed weights whose bias would not fit int32.
    fn widen(
        &mut self,
        graph: &Graph,
        marks: &Marks,
        ranges: &Ranges,
        options: &QuantizeOptions,
    ) -> Result<(), QuantizeError> {
        for mark in &marks.biases {
            let given = |found: &Parameters| found.tensors.get(&mark.input)?.params.scale.first().copied();
            let input = match (marks.get(&mark.input), graph.initializer(&mark.input)) {
                // The QDQ tool looks at the input's own range, even where its scale is another's.
                (Some(_), None) if options.format == TableFormat::QOperator => given(self).unwrap_or(1.0),
                (Some(_), None) => match activation_params(graph, &mark.input, &mark.input, ranges, options) {
                    Ok(params) => params.scale.first().copied().unwrap_or(1.0),
                    // What shares its scale with another need not be calibrated itself.
                    Err(QuantizeError::NoRange(_)) => continue,
                    Err(error) => return Err(error),
                },
                _ => continue,
            };
            let Some(weight) = self.tensors.get_mut(&mark.weight) else { continue };
            let symmetric = weight.params.zero_point.iter().all(|&zero_point| zero_point == 0);
            if weight.constant.is_none() || !symmetric || !matches!(weight.params.dtype, DType::Int8 | DType::Int16) {
                continue;
            }
            let Some(bias) = graph.tensor(&mark.bias) else { continue };
            let values = reals(bias?, &mark.bias)?;
            let real = graph.dtype(&mark.weight).unwrap_or(DType::Float32);
            if widen_for_bias(&mut weight.params.scale, input, &values, real) {
                self.notes.push(Note::WeightWidened { weight: mark.weight.clone(), bias: mark.bias.clone() });
            }
        }
        Ok(())
    }

    /// Hands scales on along Reshape, MaxPool and their like, as far as they reach.
    fn share(&mut self, graph: &Graph, marks: &Marks) -> Result<(), QuantizeError> {
        let mut waiting: Vec<(&str, &str)> = marks
            .in_order()
            .into_iter()
            .filter_map(|(tensor, mark)| Some((tensor, mark.shared_with.as_deref()?)))
            .collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let (ready, others) = waiting.into_iter().partition(|(_, with)| self.tensors.contains_key(*with));
            waiting = others;
            let ready: Vec<(&str, &str)> = ready;
            for (tensor, with) in ready {
                let Some(provider) = self.tensors.get(with) else { continue };
                // Scales along an axis mean nothing behind an operator that moves axes.
                if provider.params.granularity != Granularity::PerTensor {
                    continue;
                }
                let (params, owner) = (provider.params.clone(), provider.owner.clone());
                let constant = graph.tensor(tensor).transpose()?;
                self.tensors.insert(tensor.to_owned(), Parameter { params, owner, constant });
            }
            if waiting.len() == before {
                break;
            }
        }
        for (tensor, mark) in marks.in_order() {
            if let (Some(with), false) = (&mark.shared_with, self.tensors.contains_key(tensor)) {
                self.notes.push(Note::NotShared { tensor: tensor.to_owned(), with: with.clone() });
            }
        }
        Ok(())
    }

    fn add_biases(&mut self, graph: &Graph, marks: &Marks) -> Result<(), QuantizeError> {
        for mark in marks.biases.iter().filter(|mark| !self.tensors.contains_key(&mark.bias)) {
            let scale_of = |tensor: &String| {
                let missing = || QuantizeError::BiasWithoutScale { bias: mark.bias.clone(), needs: tensor.clone() };
                self.tensors.get(tensor).map(|parameter| parameter.params.scale.clone()).ok_or_else(missing)
            };
            let (input, weight) = (scale_of(&mark.input)?, scale_of(&mark.weight)?);
            let Some(bias) = graph.tensor(&mark.bias) else { continue };
            let bias = bias?;
            let params = bias_params(&bias, input.first().copied().unwrap_or(1.0), &weight)
                .map_err(|source| QuantizeError::Scale { tensor: mark.bias.clone(), source })?;
            let parameter = Parameter { params, owner: mark.bias.clone(), constant: Some(bias) };
            self.biases.insert(mark.bias.clone(), parameter);
        }
        Ok(())
    }
}

fn reals(tensor: Tensor, name: &str) -> Result<Vec<f32>, QuantizeError> {
    tensor.to_f32().map_err(|source| OnnxError::Tensor { tensor: name.to_owned(), source }.into())
}
