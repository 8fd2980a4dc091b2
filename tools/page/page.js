"use strict";
// Turning pages, the projector mode, and the contents at the side. Without it every page can still be read.
(() => {
  const root = document.documentElement;
  const remembered = "ocrlib-projector";

  // A browser may forbid pages from a disk to remember anything.
  const recall = () => { try { return localStorage.getItem(remembered); } catch { return null; } };
  const remember = (value) => { try { localStorage.setItem(remembered, value); } catch { /* then it forgets */ } };

  root.classList.toggle("projector", recall() === "on");  // before anything is drawn

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("projector");
    const contents = document.querySelector(".toc details");
    const links = [...document.querySelectorAll(".toc a")];
    const headings = links.map((link) => document.getElementById(link.hash.slice(1)) ||
      document.getElementById(decodeURIComponent(link.hash.slice(1))));
    const wide = matchMedia("(min-width: 70rem)");

    const arrange = () => {
      const large = root.classList.contains("projector");
      button.setAttribute("aria-pressed", large);
      if (contents) contents.open = wide.matches && !large;
    };

    const toggle = () => {
      // What is read now stays where it is, although everything above it changes its height.
      const bar = document.querySelector(".bar");
      const below = (block, edge) => block.getBoundingClientRect()[edge] - bar.offsetHeight;
      const blocks = [...document.querySelectorAll(".jp-RenderedMarkdown > *, .highlight, .jp-OutputArea-output")];
      const begins = (block) => below(block, "top") > -10 && below(block, "top") < innerHeight / 2;
      const seen = blocks.find(begins) || blocks.find((block) => below(block, "bottom") > 0);
      const before = seen && below(seen, "top");
      remember(root.classList.toggle("projector") ? "on" : "off");
      arrange();
      if (seen && scrollY > 0) scrollBy(0, below(seen, "top") - before);
    };

    const turn = (direction) => {
      const page = document.querySelector(`link[rel="${direction}"]`);
      if (page) location.href = page.href;
    };

    const keys = { ArrowLeft: () => turn("prev"), ArrowRight: () => turn("next"), p: toggle, P: toggle, "?": toggle };

    addEventListener("keydown", (event) => {
      // In a wide block of code the arrows scroll; with Alt they are the browser's own.
      const busy = event.target instanceof Element && event.target.closest("pre, input, textarea, select");
      if (!busy && !event.altKey && !event.ctrlKey && !event.metaKey && Object.hasOwn(keys, event.key)) keys[event.key]();
    });

    const follow = () => {
      const passed = headings.filter((heading) => heading && heading.getBoundingClientRect().top < 150).length;
      links.forEach((link, place) => {
        if (place === passed - 1) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      });
      const list = document.querySelector(".toc");
      const here = links[passed - 1];
      if (here && list.scrollHeight > list.clientHeight) list.scrollTop = here.offsetTop - list.clientHeight / 2;
    };

    const unfold = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const folded = target && target.closest("details:not([open])");
      if (folded) { folded.open = true; target.scrollIntoView(); }
    };

    button.addEventListener("click", toggle);
    wide.addEventListener("change", arrange);
    addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
    addEventListener("hashchange", unfold);
    arrange();
    follow();
    unfold();
  });
})();
