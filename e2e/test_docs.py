"""The page at /docs in a real browser: it works alone, and its form gets real answers."""
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="module")
def page():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page
        browser.close()


@pytest.fixture
def docs(server, page):
    """The page, loaded; what it asks for and what goes wrong in it."""
    asked, problems = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(server.url + "/docs")
    page.locator("#routes details").first.wait_for(state="attached")
    yield page
    assert asked and all(url.startswith(server.url) for url in asked)
    assert problems == []


def test_all_operations_are_listed(docs, http):
    api = http.get("/openapi.json").json()
    names = [operation["operationId"] for methods in api["paths"].values() for operation in methods.values()]
    assert len(names) > 30
    listed = docs.locator("#routes > details").evaluate_all("all => all.map(one => one.id)")
    assert sorted(listed) == sorted(names)
    assert docs.locator("#version").text_content() == api["info"]["version"]


def test_members_are_told(docs):
    form = docs.locator("#post_generate")
    form.locator("> summary").click()
    row = form.locator("tr", has=docs.locator("code", has_text="temperature")).first
    expect(row).to_contain_text("number 0…100")


def test_the_form_gets_an_answer(docs):
    form = docs.locator("#post_generate")
    form.locator("> summary").click()
    form.locator("textarea").fill('{"prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}')
    form.locator(".send").click()
    expect(form.locator(".answer")).to_contain_text("Paris")
    expect(form.locator(".answer")).to_contain_text("200")


def test_the_form_shows_a_stream(docs):
    form = docs.locator("#post_generate")
    form.locator("> summary").click()
    form.locator("textarea").fill('{"prompt": "Hello", "max_tokens": 4, "stream": true}')
    form.locator(".send").click()
    expect(form.locator(".answer")).to_contain_text("data: [DONE]")


def test_the_form_puts_parameters_into_the_path(docs):
    form = docs.locator("#get_v1_models_model")
    form.locator("> summary").click()
    form.locator("input").fill("smollm2")
    form.locator(".send").click()
    expect(form.locator(".answer")).to_contain_text('"max_model_len"')
