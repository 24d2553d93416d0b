import pytest

from edgeward.cli.project import load_project, project_text, slug
from edgeward.core.site_file import parse_project_file
from edgeward.errors import InputError


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "shop"
    (folder / "public" / "deep").mkdir(parents=True)
    text = project_text(name="shop", hostnames=("shop.test",), build="public", fleet="home")
    (folder / "edgeward.toml").write_text(text)
    return folder


def test_the_folder_of_the_project_is_published_from_its_build_folder(site):
    """`edgeward push shop` never publishes the sources."""
    project = load_project(site)
    assert project.folder == site / "public"
    assert (project.settings.name, project.fleet) == ("shop", "home")


def test_a_named_folder_below_the_project_is_published_itself(site):
    """`edgeward push public/deep` finds edgeward.toml above it."""
    project = load_project(site / "public" / "deep")
    assert project.folder == site / "public" / "deep"
    assert project.file == site / "edgeward.toml"


def test_the_current_folder_may_be_anywhere_in_the_project(site, monkeypatch):
    """With no folder named it is the build folder of the nearest project."""
    monkeypatch.chdir(site / "public" / "deep")
    assert load_project(None).folder == site / "public"


def test_a_folder_without_a_project_needs_a_name_and_a_hostname(tmp_path):
    """Both on the command line, or an error that says so."""
    with pytest.raises(InputError, match=r"no edgeward.toml"):
        load_project(tmp_path)
    project = load_project(tmp_path, name="docs", hostnames=("docs.test",))
    assert (project.settings.name, project.settings.hostnames) == ("docs", ("docs.test",))


def test_names_on_the_command_line_replace_those_of_the_file(site):
    """The other settings of the file stay."""
    text = (site / "edgeward.toml").read_text().replace("# spa = false", "spa = true")
    (site / "edgeward.toml").write_text(text)
    project = load_project(site, name="staging", hostnames=("staging.test",))
    assert (project.settings.name, project.settings.hostnames, project.settings.spa) == (
        "staging", ("staging.test",), True,
    )  # fmt: skip


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """A missing folder, a file in its place, and a missing build folder are told apart."""
    with pytest.raises(InputError, match="does not exist"):
        load_project(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        load_project(tmp_path / "file")
    (tmp_path / "edgeward.toml").write_text(project_text(name="a", hostnames=("a.test",), build="dist"))
    with pytest.raises(InputError, match="dist, does not exist"):
        load_project(tmp_path)


@pytest.mark.parametrize("build", ["public", 'odd "name"', "back\\slash", "tab\tand\x7f"])
def test_the_written_file_is_read_again(build):
    """Whatever the folder is called, the file that init writes says the same."""
    said = parse_project_file(project_text(name="a-b", hostnames=("a.test", "b.test"), build=build, fleet="f"))
    assert (said.site.name, said.site.hostnames, said.build, said.fleet) == ("a-b", ("a.test", "b.test"), build, "f")


def test_a_folder_name_becomes_a_site_name():
    """Letters, digits and dashes are left."""
    assert [slug(text) for text in ("My Site!", "--", "Ünder_score")] == ["my-site", "site", "nder-score"]
