import { randomInt } from "node:crypto";

import { EngineError } from "../../base/errors.ts";

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Refuses what cannot be a container's name. A slash in front is allowed and does not belong to it. */
export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new EngineError("invalid", `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
}

/** A name for a container that was given none: how it is, and who has made vessels or the world they stand in clearer. */
export function randomName(): string {
  return `${pick(QUALITIES)}_${pick(PEOPLE)}`;
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? "";
}

const QUALITIES: readonly string[] = (
  "airy ample azure bright brisk burnished buttery calm candid celadon cheery clear coiled cool crisp crystal curved deft dewy dotted " +
  "earthen even faceted fair fine fired fluted frosty gilded glazed glossy golden granite grassy hale handy hollow honest ivory jade " +
  "jolly keen kindled lacquered lively lofty lucid lustrous mellow mild misty mossy neat nimble noble oaken opal patient pearly placid " +
  "plain poised polished proud pure quaint quiet radiant rapid rosy round rustic sandy serene shapely silken silver simple sleek slender " +
  "slipcast smooth snowy sober solid sound speckled spry stable steady still stout sturdy sunny supple sure swift tall tender thrown " +
  "tidy tranquil trusty upright velvet vivid warm watertight whole wide willing windy wise witty woven young zesty"
).split(" ");

/** Potters, and people of science and engineering. */
const PEOPLE: readonly string[] = (
  "abel agnesi alhazen ampere anning avogadro bernoulli bessel bohr boole born boyle brahe cai cajal cannon cantor carnot cavendish " +
  "celsius coper cori coulomb curie dalton descartes dewey dirac duckworth edwards erdos euclid euler exekias faraday fermat fermi " +
  "feynman fibonacci fourier franklin galois gauss germain gibbs goldstine hamada hamilton henry heron herschel hertz hilbert hopper " +
  "huygens hypatia ibnsina jacobi joule kanjiro kawai kelvin kenzan kepler khayyam khwarizmi kirchhoff koch laplace lavoisier leach " +
  "leibniz liskov lovelace lie lorentz lyell martinez maxwell meitner mendel mendeleev minkowski napier natzler nernst newton ninsei " +
  "noether odundo ohm oersted palissy pascal pauling perlman perry planck poincare ptolemy pythagoras ramanujan rie rosanjin rubin " +
  "sagan shannon shen somerville stokes swan tesla thales tomimoto torricelli toyo turing volta voulkos wedgwood wu xu yanagi yukawa " +
  "zhang zuse"
).split(" ");
