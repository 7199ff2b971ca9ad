"""The widgets as a learner meets them: in a notebook, in JupyterLab, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness import KERNEL_IDLE, Player, Watched

pytestmark = pytest.mark.browser

RATE, SECONDS = 22050, 4.0
NAMES = ("drums", "bass", "other", "vocals")
STEP = 2 / 32768  # rounding to 16 bits, and Chromium decodes positive samples as x / 32767


def stems() -> dict[str, np.ndarray]:
    """Four sounds that the test and the notebook's kernel make alike."""
    noise = np.random.default_rng(7).uniform(-0.2, 0.2, (4, 2, int(RATE * SECONDS)))
    return dict(zip(NAMES, noise.astype(np.float32), strict=True))


CELLS = (
    "import numpy as np\n"
    "from demucs_lab.widgets import ABX, StemPlayer\n"
    f"noise = np.random.default_rng(7).uniform(-0.2, 0.2, (4, 2, {int(RATE * SECONDS)}))\n"
    f"stems = dict(zip({NAMES}, noise.astype(np.float32)))\n"
    "song = {'mixture': sum(stems.values()), **stems}\n"
    "half = {name: stem / 2 for name, stem in stems.items()}",
    f"player = StemPlayer(song, {RATE}, systems={{'half': half}}, title='Song')\nplayer",
    f"second = StemPlayer(song, {RATE})\nsecond",
    f"test = ABX(stems['bass'], half['bass'], {RATE}, trials=3)\ntest",
)
READY = """n => [...document.querySelectorAll(".dl-play")].length >= n
  && [...document.querySelectorAll(".dl-play")].slice(0, n).every((b) => !b.disabled)"""


@pytest.fixture(scope="module")
def watched(lab: Any, chromium: Any) -> Iterator[Any]:
    lab.write("widgets.ipynb", *CELLS)
    watched = Watched(chromium)
    lab.open(watched.page, "widgets.ipynb")
    watched.page.wait_for_function(READY, arg=3, timeout=60_000)
    yield watched
    watched.close()


@pytest.fixture
def page(watched: Any) -> Any:
    return watched.page


@pytest.fixture
def player(page: Any) -> Iterator[Player]:
    player = Player(page)
    player.reset()
    yield player
    player.reset()


def kernel(page: Any, code: str) -> str:
    """What the notebook's own kernel prints."""
    return page.evaluate(
        """async (code) => {
          const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
          const future = kernel.requestExecute({ code });
          let text = "";
          future.onIOPub = (m) => { text += m.content.text ?? m.content.evalue ?? ""; };
          await future.done;
          return text.trim();
        }""",
        code,
    )


def eventually(page: Any, code: str, expected: str) -> str:
    """`kernel`, asked again while the page's news and the question may overtake each other."""
    for _ in range(40):
        if (told := kernel(page, code)) == expected:
            break
        page.wait_for_timeout(100)
    return told


def test_the_audio_clock_runs_by_the_clock_on_the_wall(page: Any, player: Player) -> None:
    player.click("Play")
    player.wait("p.deck && p.position() > 0.1")
    audio, wall = player.clocks
    page.wait_for_timeout(1000)
    audio_later, wall_later = player.clocks
    assert audio_later - audio == pytest.approx(wall_later - wall, abs=0.1)
    player.click("Pause")
    player.wait("!p.deck")
    at = player.position
    page.wait_for_timeout(100)
    assert player.position == at


def test_a_fresh_player_plays_the_mixture_and_solo_exactly_the_stem(player: Player) -> None:
    sounds = stems()
    assert np.abs(player.render() - sum(sounds.values())).max() <= STEP
    player.click("Solo bass (2)")
    assert np.abs(player.render() - sounds["bass"]).max() <= STEP
    player.click("Solo bass (2)")
    player.click("Mute vocals")
    rest = sum(sounds[name] for name in NAMES if name != "vocals")
    assert np.abs(player.render() - rest).max() <= 3 * STEP


def test_everything_muted_is_exact_silence(player: Player) -> None:
    for name in NAMES:
        player.click(f"Mute {name}")
    assert not player.render().any()


def test_systems_play_their_own_stems_and_what_is_missing(player: Player) -> None:
    bass = stems()["bass"]
    player.click("Solo bass (2)")
    player.click("Listen to half")
    assert np.abs(player.render() - bass / 2).max() <= STEP
    player.click("missing from half: original minus half")
    assert np.abs(player.render() - bass / 2).max() <= 2 * STEP


def test_gain_is_in_decibels(player: Player) -> None:
    player.click("Solo bass (2)")
    player.root.get_by_role("slider", name="Gain of bass, in dB").fill("-6")
    assert np.abs(player.render() - stems()["bass"] * 10 ** (-6 / 20)).max() <= STEP


def test_a_gain_that_makes_it_clip_is_pointed_out(player: Player) -> None:
    volume = player.root.get_by_role("slider", name="Volume of everything, in dB")
    volume.fill("6")
    player.wait("p.status.textContent.includes('it clips')")
    volume.fill("0")
    player.wait("!p.status.textContent.includes('it clips')")


def test_switching_systems_while_playing_keeps_the_position(player: Player) -> None:
    player.click("Play")
    player.wait("p.deck && p.position() > 0.2")
    deck = player.get("p.deck.when")
    audio, wall = player.clocks
    player.click("Listen to half")
    player.click("Listen to original")
    audio_later, wall_later = player.clocks
    assert audio_later - audio == pytest.approx(wall_later - wall, abs=0.1)
    assert player.get("p.deck.when") == deck


def test_a_click_seeks_and_a_drag_loops(player: Player) -> None:
    player.click_at(0.5)
    assert player.position == pytest.approx(SECONDS / 2, abs=0.02)
    player.drag(0.25, 0.5)
    assert player.get("p.loop") == pytest.approx([1, 2], abs=0.03)
    player.click("Play")
    player.wait("p.deck")
    player.page.wait_for_timeout(1300)
    assert 1 <= player.position <= 2
    assert player.playing


def test_the_song_ends_and_the_player_returns_to_its_start(player: Player) -> None:
    player.click_at(0.95)
    player.click("Play")
    player.wait("p.deck")
    player.wait("!p.deck && p.position() === 0")


def test_the_keyboard_does_all_and_leaves_the_notebook_alone(page: Any, player: Player) -> None:
    cells = page.locator(".jp-Cell").count()
    player.press("2")
    assert player.get("p.get('solo')") == ["bass"]
    player.press("2")
    player.press("0")
    assert player.get("p.get('solo')") == ["mixture"]
    player.press("0")
    player.press("b")
    assert player.get("p.get('system')") == "half"
    player.press("a")
    assert player.get("p.get('system')") == "original"
    player.press("ArrowRight")
    assert player.position == pytest.approx(1)
    player.press("Shift+ArrowRight")
    assert player.position == pytest.approx(SECONDS)
    player.press("Home")
    assert player.position == 0
    player.press("l")
    assert player.get("p.loop") == pytest.approx([0, SECONDS])
    player.press("Space")
    player.wait("p.deck")
    player.press("Space")
    player.wait("!p.deck")
    assert page.locator(".jp-Cell").count() == cells


def test_after_a_click_the_space_bar_plays_and_after_tab_it_presses(player: Player) -> None:
    player.click("Mute bass")
    player.page.keyboard.press("Space")
    player.wait("p.deck")
    player.page.keyboard.press("Space")
    player.wait("!p.deck")
    player.root.get_by_role("button", name="Mute bass", exact=True).focus()
    player.page.keyboard.press("Space")
    player.wait("p.get('mute').length === 0")
    assert not player.playing


def test_starting_one_player_pauses_the_other(page: Any, player: Player) -> None:
    other = Player(page, 1)
    player.click("Play")
    player.wait("p.deck")
    other.click("Play")
    other.wait("p.deck")
    assert not player.playing
    other.click("Pause")
    other.wait("!p.deck")


def test_python_and_the_page_agree(page: Any, player: Player) -> None:
    player.click("Solo bass (2)")
    player.click_at(0.25)
    told = eventually(page, "print(player.solo, round(player.position, 1))", "['bass'] 1.0")
    assert told == "['bass'] 1.0"
    kernel(page, "player.solo = ['vocals']; player.position = 2.0")
    player.wait("p.get('solo')[0] === 'vocals' && p.at === 2")
    assert np.abs(player.render() - stems()["vocals"]).max() <= STEP


def test_replacing_a_stem_sends_that_stem_alone_and_plays_on(page: Any, player: Player) -> None:
    player.get("p.model.on('msg:custom', (m) => (window.came ??= []).push(m.id))")
    player.click("Play")
    player.wait("p.deck && p.position() > 0.1")
    kernel(page, "player.replace('bass', stems['drums'])")
    player.wait("window.came?.length && p.ready")
    assert player.playing
    assert page.evaluate("window.came") == ["0:bass"]
    player.click("Solo bass (2)")
    assert np.abs(player.render() - stems()["drums"]).max() <= STEP
    kernel(page, "player.replace('bass', stems['bass'])")
    player.wait("window.came.length === 2 && p.ready")


def test_every_control_has_a_name_and_the_state_is_spoken(page: Any, player: Player) -> None:
    for selector in (".dl button", ".dl input", ".dl [role=slider]", ".dl [role=group]"):
        for control in page.locator(selector).all():
            assert control.get_attribute("aria-label"), control.evaluate("c => c.outerHTML")
    status = player.root.get_by_role("status")
    assert status.get_attribute("aria-live") == "polite"
    player.click("Mute vocals")
    assert "drums + bass + other" in status.inner_text()
    assert player.root.get_by_role("button", name="Mute vocals").get_attribute("aria-pressed")


def test_the_spectrogram_shows_what_is_heard(player: Player) -> None:
    player.click("Show the spectrogram")
    pictures = "[...p.pictures.keys()].filter((k) => k.startsWith('spectrogram')).length"
    player.wait(f"{pictures} === 1")
    player.click("Solo bass (2)")
    player.wait(f"{pictures} === 2")


def luminance(color: str) -> float:
    channels = [float(x) / 255 for x in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_text_is_readable_in_both_themes(page: Any, player: Player, theme: str) -> None:
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    light = str(theme.endswith("Light")).lower()
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    page.wait_for_timeout(300)
    ground = luminance(player.get("getComputedStyle(p.root).backgroundColor"))
    assert (ground > 0.5) == theme.endswith("Light")
    for element in ("root", "keyHelp", "playButton"):
        ink = luminance(player.get(f"getComputedStyle(p.{element}).color"))
        paper = ground
        if element == "playButton":
            paper = luminance(player.get("getComputedStyle(p.playButton).backgroundColor"))
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast >= 4.5, f"{element} in {theme}: {contrast:.1f}"


def test_the_blind_test_scores_what_the_ear_tells(page: Any) -> None:
    test = Player(page, name="dl-abx")
    bass = stems()["bass"]
    for trial, lie in enumerate((False, False, True)):
        test.wait(f"p.ready && p.get('abx_log').length === {trial}")
        heard = "A" if np.abs(test.render() - bass).max() <= STEP else "B"
        said = {"A": "B", "B": "A"}[heard] if lie else heard
        test.click(f"Answer: X is {said}")
    test.wait("p.get('abx_log').length === 3")
    right = [entry["correct"] for entry in test.get("p.get('abx_log')")]
    assert right == [True, True, False]
    assert "2 of 3 right, p = 0.500" in test.root.inner_text()
    assert eventually(page, "print(tuple(test.results))", "(3, 2, 0.5)") == "(3, 2, 0.5)"
    test.click("Start a new test")
    test.wait("p.ready && p.get('abx_log').length === 0")


def test_without_its_kernel_the_player_goes_on(page: Any, player: Player) -> None:
    """Last but one: the notebook's names are gone afterwards."""
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function(KERNEL_IDLE)
    player.click("Solo bass (2)")
    assert np.abs(player.render() - stems()["bass"]).max() <= STEP
    player.click("Play")
    player.wait("p.deck && p.position() > 0.2")


def test_at_last_nobody_complained_and_nobody_outside_was_called(watched: Any) -> None:
    assert watched.complaints == []
    assert watched.outside == []
