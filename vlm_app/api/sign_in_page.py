"""The page on which one signs in: plain HTML without a script, in the look of the app."""

from __future__ import annotations

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#24221f, #e9e6e1); --quiet: light-dark(#6b665f, #a39d94);
  --ground: light-dark(#fbfaf8, #171614); --line: light-dark(#e4e0d9, #35322d);
  --field: light-dark(#fff, #211f1c);
  --accent: #2f6f6a; --wrong: light-dark(#b3372b, #f08a7d); }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; background: var(--ground);
  color: var(--ink); font: 16px/24px system-ui, sans-serif; }
main { box-sizing: border-box; width: min(360px, 100vw); padding: 24px; }
h1 { font-size: 20px; font-weight: 650; margin: 0 0 16px; }
p { margin: 0 0 16px; } .quiet, a { color: var(--quiet); font-size: 14px; } .wrong { color: var(--wrong); }
label { display: block; margin: 0 0 16px; font-size: 14px; color: var(--quiet); }
input { box-sizing: border-box; width: 100%; height: 40px; margin-top: 4px; padding: 0 12px; font: inherit;
  color: var(--ink); background: var(--field); border: 1px solid var(--line); border-radius: 8px; }
button, .button { box-sizing: border-box; display: block; width: 100%; height: 40px; line-height: 40px;
  margin: 0 0 16px; padding: 0; border: 0; border-radius: 8px; background: var(--accent); color: #fff;
  font: 550 16px/40px system-ui, sans-serif; text-align: center; text-decoration: none; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
NOBODY = (
    "Nobody can sign in here yet: whoever runs this app adds people with "
    "<code>vlm-app person add NAME</code>."
)
FORM = """<form method="post" action="{root}/sign-in">
<label>Name<input name="name" value="{name}" autocomplete="username" autocapitalize="off" required
 {first}></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required {then}></label>
<button>Sign in</button></form>"""
HUB = '<a class="button" href="{root}/sign-in/huggingface">Sign in with Hugging Face</a>'
OUT = '<form method="post" action="{root}/sign-out"><button>Sign out</button></form>'


def sign_in_page(
    root: str, *, passwords: bool, hub: bool, anonymous: bool, wrong: str = "", name: str = ""
) -> str:
    """The ways in that there are; `wrong` is the sentence of an attempt that failed, `root` the path of a
    proxy before every address."""
    focus = {"first": "" if name else "autofocus", "then": "autofocus" if name else ""}
    ways = [FORM.format(root=root, name=escape(name, quote=True), **focus)] if passwords else []
    ways += [HUB.format(root=root)] if hub else []
    said = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    body = "".join(ways) or f'<p class="quiet">{NOBODY}</p>'
    return _page(root, "Sign in", said + body, anonymous)


def signed_in_page(root: str, name: str, role: str) -> str:
    """For who has signed in already."""
    who = f"<p>You are signed in as <strong>{escape(name)}</strong>, {escape(role)}.</p>"
    return _page(root, "Signed in", who + OUT.format(root=root), True)


def _page(root: str, title: str, body: str, back: bool) -> str:
    way = f'<a href="{root}/">Back to the app</a>' if back else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title} · vlm-app</title><link rel="icon" href="{root}/favicon.ico"><style>{STYLE}</style>'
        f"<main><h1>{title}</h1>{body}{way}</main></html>"
    )
