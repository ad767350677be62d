# SPDX-License-Identifier: GPL-2.0
"""In the guest: writes letter.html, report.html, app.html and table.csv, other ones for another seed."""

import random
import sys

random.seed(int(sys.argv[1]))
WORDS = "free page host guest memory report block order zone lock list walk idle time balloon".split()


def text(words):
    return " ".join(random.choices(WORDS, k=words)).capitalize() + "."


def table(rows):
    return "<table border=1>" + "".join(
        "<tr>" + "".join(f"<td>{random.random():.4f}</td>" for _ in range(8)) + "</tr>" for _ in range(rows)) + "</table>"


def page(body):
    return f"<!doctype html><meta charset=utf-8><title>{text(3)}</title><body>{body}</body>"


def write(name, content):
    with open(name, "w", encoding="utf-8") as file:
        file.write(content)


SIZE = random.randint(3, 6)
write("letter.html", page("".join(f"<h2>{text(5)}</h2><p>{text(90)}</p>" for _ in range(60 * SIZE))))
write("report.html", page("".join(f"<h2>{text(5)}</h2><p>{text(60)}</p>{table(12)}" for _ in range(8 * SIZE))))
write("table.csv", "\n".join(",".join(f"{random.random():.6f}" for _ in range(12)) for _ in range(4000 * SIZE)))
write("app.html", page(f"""<canvas id=c width=1500 height=3000></canvas><div id=d></div><script>
let kept = [], turn = 0;
function work() {{
    let items = [];
    for (let i = 0; i < {60000 * SIZE}; i++) items.push({{ id: i, name: 'item ' + i * 7919 % 104729, at: [i, i / 3] }});
    kept.push(JSON.stringify(items)); if (kept.length > 4) kept.shift();
    items.sort((a, b) => a.name < b.name ? -1 : 1);
    for (let i = 0; i < 300; i++) {{
        const p = document.createElement('p'); p.textContent = items[i].name; document.getElementById('d').append(p);
    }}
    const g = document.getElementById('c').getContext('2d');
    for (let i = 0; i < 3000; i++) {{ g.fillStyle = `hsl(${{i % 360}},60%,50%)`; g.fillRect(i * 7 % 1500, i % 3000, 40, 9); }}
    if (turn++ < 25) setTimeout(work, 400);
}}
work();</script>"""))
