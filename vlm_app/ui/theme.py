"""Gradio's theme tokens, set once: a neutral ground, one accent, system fonts.

`assets/style.css` uses these tokens and adds layout; no colour is chosen anywhere else, but
for the regions' own palette.
"""

from __future__ import annotations

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

ACCENT, ACCENT_DARK = "#2f6f6a", "#6fb8b0"
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def theme() -> Base:
    """The look of every page, light and dark."""
    base = Base(
        primary_hue=colors.teal,
        neutral_hue=colors.stone,
        font=SANS,
        font_mono=MONO,
        radius_size=sizes.radius_lg,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
    )
    return base.set(
        body_background_fill="#fbfaf8",
        body_background_fill_dark="#171614",
        body_text_color="#24221f",
        body_text_color_dark="#e9e6e1",
        body_text_color_subdued="#6b665f",
        body_text_color_subdued_dark="#a39d94",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#211f1c",
        background_fill_secondary="#f3f1ed",
        background_fill_secondary_dark="#1c1a18",
        border_color_primary="#e4e0d9",
        border_color_primary_dark="#35322d",
        color_accent=ACCENT,
        color_accent_soft="#e6efed",
        color_accent_soft_dark="#22302e",
        link_text_color=ACCENT,
        link_text_color_dark=ACCENT_DARK,
        link_text_color_hover=ACCENT,
        link_text_color_hover_dark=ACCENT_DARK,
        link_text_color_visited=ACCENT,
        link_text_color_visited_dark=ACCENT_DARK,
        link_text_color_active=ACCENT,
        link_text_color_active_dark=ACCENT_DARK,
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_color="*body_text_color_subdued",
        block_title_text_color_dark="*body_text_color_subdued",
        block_title_text_weight="500",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_color_dark="*body_text_color_subdued",
        panel_border_width="0px",
        panel_border_width_dark="0px",
        input_background_fill="*background_fill_primary",
        input_background_fill_dark="*background_fill_primary",
        input_border_color="*border_color_primary",
        input_border_color_dark="*border_color_primary",
        input_border_color_focus=ACCENT,
        input_border_color_focus_dark=ACCENT_DARK,
        input_border_width="1px",
        input_border_width_dark="1px",
        input_shadow="none",
        input_shadow_dark="none",
        input_shadow_focus="none",
        input_shadow_focus_dark="none",
        button_primary_background_fill=ACCENT,
        button_primary_background_fill_dark=ACCENT,
        button_primary_background_fill_hover="#285f5b",
        button_primary_background_fill_hover_dark="#3a827c",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_background_fill_dark="*background_fill_primary",
        button_secondary_background_fill_hover="*background_fill_secondary",
        button_secondary_background_fill_hover_dark="#2a2824",
        button_secondary_border_color="*border_color_primary",
        button_secondary_border_color_dark="*border_color_primary",
        button_secondary_text_color="*body_text_color",
        button_secondary_text_color_dark="*body_text_color",
        slider_color=ACCENT,
        slider_color_dark=ACCENT_DARK,
        checkbox_background_color_selected=ACCENT,
        checkbox_background_color_selected_dark=ACCENT,
    )
