//! Layouts of the charts, on small data and on odd data.

use super::*;
use crate::chart::data::{
    Axis, ChannelMarks, Channels, Depth, Direction, Handle, Histogram, RangeColor, RangeRow, Ranges, Scatter,
    ScatterGroup, ScatterPoint, Series,
};
use crate::chart::theme::Brightness;
use crate::chart::view::HistogramLayout;

fn viewport(width_px: f64, height_px: f64) -> Viewport {
    Viewport { width_px, height_px, scroll_px: 0.0, view: View::default() }
}

fn chart(plot: Plot) -> Chart {
    Chart { title: "Test".into(), note: String::new(), file_stem: "test".into(), plot }
}

fn histogram() -> Histogram {
    Histogram {
        x: Axis::new("value", ""),
        y: Axis::new("count", ""),
        edges: vec![-2.0, -1.0, 0.0, 1.0, 2.0],
        series: vec![
            Series::new("float", Role::Float, vec![1.0, 10.0, 100.0, 0.0]),
            Series::new("int8", Role::Int8, vec![0.0, 12.0, 90.0, 9.0]),
        ],
        ..Histogram::default()
    }
}

fn rects(scene: &Scene, color: crate::chart::Color) -> Vec<Rect> {
    let same = |fill: &crate::chart::Color| fill.with_alpha(1.0) == color;
    scene
        .shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Rect { rect, fill: Some(fill), .. } if same(fill) => Some(*rect),
            _ => None,
        })
        .collect()
}

fn texts(scene: &Scene) -> Vec<String> {
    let text = |shape: &Shape| match shape {
        Shape::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    scene.shapes.iter().filter_map(text).collect()
}

#[test]
fn bars_are_as_high_as_their_counts() {
    let theme = Theme::LIGHT;
    let scene = scene(&chart(Plot::Histogram(histogram())), &viewport(600.0, 200.0), &theme);
    let bars = rects(&scene, theme.float);
    assert_eq!(bars.len(), 3, "an empty bin has no bar");
    let y = scene.y.unwrap();
    for (bar, count) in bars.iter().zip([1.0, 10.0, 100.0]) {
        assert!((y.value(bar.y) - count).abs() < 1e-9 || bar.height == 1.0, "{bar:?} {count}");
        assert!((bar.bottom() - y.px(0.0)).abs() < 1e-9);
    }
    // One mark per bin, which together tile the plot.
    assert_eq!(scene.marks.len(), 4);
    assert!((scene.marks.iter().map(|mark| mark.area.width).sum::<f64>() - scene.plot.width).abs() < 1e-6);
    let middle = at(scene.x.px(0.5), scene.plot.y + 5.0);
    assert_eq!(scene.mark_at(middle), Some(2));
    assert_eq!(scene.mark_at(at(0.0, 0.0)), None);
}

#[test]
fn a_hidden_first_series_lets_the_next_be_filled() {
    let theme = Theme::DARK;
    let mut room = viewport(600.0, 200.0);
    room.view.toggle("float");
    let scene = scene(&chart(Plot::Histogram(histogram())), &room, &theme);
    assert_eq!((rects(&scene, theme.float).len(), rects(&scene, theme.int8).len()), (0, 3));
}

#[test]
fn a_log_axis_shows_single_counts() {
    let theme = Theme::LIGHT;
    let mut room = viewport(600.0, 200.0);
    room.view.log_y = true;
    let scene = scene(&chart(Plot::Histogram(histogram())), &room, &theme);
    let bars = rects(&scene, theme.float);
    assert_eq!(bars.len(), 3);
    assert!(bars.iter().all(|bar| bar.height > 10.0), "{bars:?}");
    assert!(texts(&scene).iter().any(|text| text == "100"));
}

#[test]
fn zoom_clips_bars_and_marks_to_the_plot() {
    let theme = Theme::LIGHT;
    let mut room = viewport(600.0, 200.0);
    room.view.x_range = Some((-0.5, 0.5));
    room.view.y_range = Some((5.0, 50.0));
    for layout in [HistogramLayout::Overlaid, HistogramLayout::Grouped, HistogramLayout::Strips] {
        room.view.layout = layout;
        let scene = scene(&chart(Plot::Histogram(histogram())), &room, &theme);
        assert_eq!(scene.marks.iter().map(|mark| mark.span.start).collect::<Vec<_>>(), vec![1, 2]);
        let (plot, slack) = (scene.plot, 1e-6);
        for rect in rects(&scene, theme.float) {
            assert!(rect.x >= plot.x - slack && rect.right() <= plot.right() + slack, "{layout:?} {rect:?}");
            assert!(rect.y >= plot.y - slack && rect.bottom() <= plot.bottom() + slack, "{layout:?} {rect:?}");
        }
    }
}

#[test]
fn grouped_bars_do_not_overlap() {
    let theme = Theme::LIGHT;
    let mut room = viewport(600.0, 200.0);
    room.view.layout = HistogramLayout::Grouped;
    let scene = scene(&chart(Plot::Histogram(histogram())), &room, &theme);
    let (float, int8) = (rects(&scene, theme.float)[1], rects(&scene, theme.int8)[0]);
    assert!(float.right() <= int8.x + 1e-9, "{float:?} {int8:?}");
}

#[test]
fn clipped_bins_are_crimson_and_hatched_and_handles_are_where_their_values_are() {
    let theme = Theme::LIGHT;
    let mut data = histogram();
    data.clip = Some((-1.0, 1.0));
    let handle = |id: &str, x: f64| Handle { id: id.into(), x, label: format!("{id} clip"), role: Role::Clip };
    data.handles = vec![handle("lower", -1.0), handle("upper", 1.0), handle("outside", 7.0)];
    let scene = scene(&chart(Plot::Histogram(data)), &viewport(600.0, 200.0), &theme);
    // Two shaded zones and the one non-empty bin outside the range.
    assert_eq!(rects(&scene, theme.clip).len(), 3);
    assert_eq!(rects(&scene, theme.float).len(), 2);
    assert_eq!(scene.handles.iter().map(|handle| handle.id.as_str()).collect::<Vec<_>>(), vec!["lower", "upper"]);
    for handle in &scene.handles {
        assert!((scene.x.value(handle.grip.x + handle.grip.width / 2.0) - handle.value).abs() < 1e-9);
    }
}

#[test]
fn many_channels_are_grouped_and_keep_their_outlier() {
    let theme = Theme::LIGHT;
    let mut values = vec![1.0; 4096];
    values[1234] = 50.0;
    let channels = Channels {
        series: vec![Series::new("scale", Role::Int8, values)],
        highlighted: Some(1234),
        ..Channels::default()
    };
    let chart = chart(Plot::Channels(channels));
    let scene = scene(&chart, &viewport(600.0, 120.0), &theme);
    assert!(scene.marks.len() <= 300, "{}", scene.marks.len());
    assert_eq!(scene.marks.iter().map(|mark| mark.span.len()).sum::<usize>(), 4096);
    let tallest = rects(&scene, theme.accent).into_iter().map(|rect| rect.height).fold(0.0, f64::max);
    assert!(tallest > scene.plot.height * 0.9, "the outlier is drawn: {tallest}");
    assert_eq!(scene.mark_of(1234).map(|mark| scene.marks[mark].span.contains(&1234)), Some(true));
    assert!(texts(&scene).contains(&"1,234".to_owned()));
}

#[test]
fn range_rows_outside_the_window_are_not_laid_out() {
    let theme = Theme::DARK;
    let rows = (0..5000).map(|index| RangeRow {
        label: format!("layer_{index}"),
        spans: vec![Some((-f64::from(index) - 1.0, 1.0)), None],
    });
    let data = Ranges {
        x: Axis::new("weight", ""),
        series: vec![("float".into(), Role::Float), ("int8".into(), Role::Int8)],
        rows: rows.collect(),
        color: RangeColor::ByWidth,
        selected: Some(3001),
    };
    let chart = chart(Plot::Ranges(data));
    let mut room = viewport(700.0, 400.0);
    let height = content_height_px(&chart, &room.view, 400.0);
    assert!(height > 5000.0 * 20.0);
    room.scroll_px = scroll_to_row(&chart, &room, 3001);
    let scene = scene(&chart, &room, &theme);
    assert!(scene.marks.len() < 25 && scene.mark_of(3001).is_some());
    assert!(texts(&scene).contains(&"layer_3001".to_owned()));
    // Scrolling to a visible row moves nothing.
    assert_eq!(scroll_to_row(&chart, &room, 3001), room.scroll_px);
    assert!(scene.marks.iter().all(|mark| mark.area.bottom() <= 400.0));
}

#[test]
fn gaps_split_lines_and_infinite_values_stand_at_the_edge() {
    let theme = Theme::LIGHT;
    let nan = f64::NAN;
    let data = Depth {
        x: Axis::new("layer", ""),
        y: Axis::new("SQNR", "dB").directed(Direction::HigherIsBetter),
        labels: ["input", "a", "b", "c", "d", "output"].map(String::from).to_vec(),
        lines: vec![Series::new("int8", Role::Int8, vec![30.0, 20.0, nan, 25.0, nan, f64::INFINITY])],
        points: vec![Series::new("local", Role::Neutral, vec![nan, 40.0, 35.0, nan, nan, nan])],
        selected: Some(1),
    };
    let scene = scene(&chart(Plot::Depth(data)), &viewport(500.0, 160.0), &theme);
    let lines = scene
        .shapes
        .iter()
        .filter(|shape| matches!(shape, Shape::Polyline { stroke, .. } if stroke.color == theme.int8));
    assert_eq!(lines.count(), 1, "one run of two points; lone points are circles");
    let circles = |color| {
        scene.shapes.iter().filter(move |shape| match shape {
            Shape::Circle { fill, stroke, .. } => {
                *fill == Some(color) || stroke.is_some_and(|stroke| stroke.color == color)
            }
            _ => false,
        })
    };
    // Two lone values and the cursor's dot.
    assert_eq!(circles(theme.int8).count(), 3);
    assert_eq!(circles(theme.neutral).count(), 2);
    let texts = texts(&scene);
    assert!(texts.contains(&"SQNR (dB, higher is better)".to_owned()) && texts.contains(&"a".to_owned()));
    assert_eq!(scene.marks.len(), 6);
}

#[test]
fn every_chart_survives_odd_data_and_no_room() {
    let nan = f64::NAN;
    let inf = f64::INFINITY;
    let odd = |values: Vec<f64>| vec![Series::new("a", Role::Other(200), values)];
    let plots = [
        Plot::Histogram(Histogram::default()),
        Plot::Histogram(Histogram { edges: vec![0.0], series: odd(vec![]), ..Histogram::default() }),
        Plot::Histogram(Histogram { edges: vec![1.0, 1.0], series: odd(vec![5.0]), ..Histogram::default() }),
        Plot::Histogram(Histogram {
            edges: vec![0.0, 1.0, 2.0],
            series: odd(vec![nan, inf, 7.0]),
            ..Histogram::default()
        }),
        Plot::Histogram(Histogram { edges: vec![nan, nan], series: odd(vec![1.0]), ..Histogram::default() }),
        Plot::Histogram(Histogram {
            clip: Some((nan, inf)),
            shaded: Some((5.0, -5.0)),
            handles: vec![Handle { id: "h".into(), x: nan, label: "h".into(), role: Role::Clip }],
            ..histogram()
        }),
        Plot::Channels(Channels::default()),
        Plot::Channels(Channels { series: odd(vec![nan, inf, -inf]), highlighted: Some(99), ..Channels::default() }),
        Plot::Channels(Channels {
            series: odd(vec![0.0, 0.0]),
            marks: ChannelMarks::Dots,
            whiskers: vec![(nan, nan)],
            ..Channels::default()
        }),
        Plot::Ranges(Ranges::default()),
        Plot::Ranges(Ranges {
            series: vec![("a".into(), Role::Float)],
            rows: vec![
                RangeRow { label: String::new(), spans: vec![] },
                RangeRow { label: "x".into(), spans: vec![Some((nan, inf))] },
                RangeRow { label: "y".into(), spans: vec![Some((0.0, 0.0)), Some((1.0, 2.0))] },
            ],
            ..Ranges::default()
        }),
        Plot::Depth(Depth::default()),
        Plot::Depth(Depth { labels: vec!["a".into()], lines: odd(vec![inf]), selected: Some(0), ..Depth::default() }),
        Plot::Depth(Depth { labels: vec!["a".into(), "b".into()], lines: odd(vec![nan]), ..Depth::default() }),
    ];
    for plot in plots {
        let chart = chart(plot);
        for (width_px, height_px) in [(600.0, 200.0), (0.0, 0.0), (30.0, 10.0)] {
            for log_y in [false, true] {
                for x_range in [None, Some((0.25, 0.5)), Some((1e9, 2e9))] {
                    let view = View { log_y, x_range, ..View::default() };
                    let room = Viewport { width_px, height_px, scroll_px: 1e9, view };
                    let scene = figure(&chart, &room, &Theme::of(Brightness::Dark));
                    assert!(!scene.shapes.is_empty());
                    let svg = crate::chart::svg::svg(&scene, "t");
                    assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{chart:?} {room:?} {svg}");
                    for span in super::scene(&chart, &room, &Theme::LIGHT).marks.iter().map(|mark| mark.span.clone()) {
                        assert!(span.end <= chart.len(), "{chart:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn wide_intervals_of_hollow_points_do_not_press_the_others_into_a_line() {
    let group = |joined| ScatterGroup { name: format!("{joined}"), role: Role::Float, joined };
    let point = |group, whisker| ScatterPoint { label: String::new(), x: 1.0, y: 0.0, whisker: Some(whisker), group };
    let scatter = |hollow| Scatter {
        groups: vec![group(false), group(true)],
        points: vec![point(0, hollow), point(1, (-1.0, 1.0)), point(1, (f64::NAN, 0.5))],
        ..Scatter::default()
    };
    let range = |hollow| {
        let scene = super::scene(&chart(Plot::Scatter(scatter(hollow))), &viewport(600.0, 200.0), &Theme::LIGHT);
        let y = scene.y.unwrap();
        (y.value(scene.plot.bottom()), y.value(scene.plot.y))
    };
    assert_eq!(range((-14.0, 4.0)), range((0.0, 0.0)));
    let (low, high) = range((-14.0, 4.0));
    assert!(low < -1.0 && low > -1.5 && high > 1.0 && high < 1.5, "{low} {high}");
}
