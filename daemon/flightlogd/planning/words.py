"""Words that tell files, directories and modules from other words. Pure."""

from typing import Final


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SOURCE_EXTENSIONS: Final = _set("""
    py pyi pyx ipynb js mjs cjs jsx ts mts cts tsx vue svelte astro css scss sass less html htm xhtml
    c h cc cpp cxx hh hpp hxx cs fs java kt kts scala groovy gradle clj cljs go rs rb erb php swift zig nim
    dart lua pl pm jl ex exs erl hrl hs elm ml mli asm sol vb ps1 bat cmd sh bash zsh fish awk sed
    sql prisma graphql gql proto thrift avsc json jsonl ndjson json5 yaml yml toml ini cfg conf env lock
    properties xml xsd xsl svg csv tsv parquet md mdx rst adoc txt tex bib pdf docx xlsx pptx png jpg jpeg
    gif ico webp tf tfvars hcl nix cmake mk dockerfile service socket timer patch diff tmpl j2 hbs ejs pug
    po pot plist mod sum whl zip tar gz tgz
""")
"""Behind a bare name they make it one of a file, in lower case (`D.C` is none)."""

KNOWN_NAMES: Final = _set("""
    Makefile makefile GNUmakefile Dockerfile Containerfile Jenkinsfile Vagrantfile Procfile Gemfile Rakefile
    Brewfile Pipfile Caddyfile Justfile justfile Tiltfile Earthfile Podfile Fastfile BUILD WORKSPACE
    CODEOWNERS README LICENSE CHANGELOG CONTRIBUTING .gitignore .gitattributes .gitmodules .dockerignore
    .editorconfig .env .envrc .npmrc .nvmrc .babelrc .eslintrc .prettierrc .flake8 .pylintrc .clang-format
    .mailmap
""")
"""Files without an extension."""

PRODUCTS: Final = _set("""
    node.js vue.js next.js nuxt.js react.js angular.js express.js ember.js backbone.js three.js d3.js p5.js
    chart.js moment.js knockout.js meteor.js electron.js nest.js alpine.js socket.io deno.js bun.js solid.js
    discord.js video.js pdf.js require.js underscore.js handlebars.js mustache.js babylon.js brain.js
    tensorflow.js docs.rs crates.rs asp.net ml.net
""")
"""Products, in lower case, that are called like a file."""

ROOTS: Final = _set("src lib app apps tests docs cmd pkg packages crates")
"""Where directories begin: `src/auth` is one, `and/or` is not."""

PROGRAMS: Final = _set("bin sbin scripts")
"""Directories whose files have no extension."""

MODULE_WORDS: Final = _set("module package component service library crate subsystem")
"""Beside a word they make it a module: `the auth module`, `module auth`."""

NOT_MODULES: Final = (
    _set("""
    a an and any as at by each every existing first for from her his in into is it its main my new of old on
    one or other our same second shared single some that the their this to two with which your
""")
    | MODULE_WORDS
)
"""Words beside one of those that name nothing."""
