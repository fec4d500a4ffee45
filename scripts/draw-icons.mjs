// Draws public/icons/*.png from icon.svg, after the drawing was changed: node scripts/draw-icons.mjs
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const folder = new URL("../public/icons/", import.meta.url);
const drawing = readFileSync(new URL("icon.svg", folder), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function draw(name, size, svg) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  await page.screenshot({ path: new URL(name, folder).pathname, omitBackground: true });
  await page.close();
}

await draw("icon-192.png", 192, drawing);
await draw("icon-512.png", 512, drawing);
// A system that cuts its own shape wants the colour to reach the edge; iOS paints transparent corners black.
const square = drawing.replace(' rx="104"', "");
await draw("icon-maskable-512.png", 512, square);
await draw("icon-180.png", 180, square);
await browser.close();
