"use strict";
// The items of one set of predictions: what a filter keeps, how it is sorted, and how many each choice would keep.
(() => {
  const mmdl = (window.mmdl ??= {});

  const RIGHT = 0.5; // as in the comparison of runs
  const WIDTH = { retrieval: 3 }; // of an answer in `top`: text, value, and of retrieval whether it is right

  class PredictionSet {
    constructor(raw, images) {
      this.raw = raw;
      this.images = images;
      this.count = raw.ids.length;
      this.columns = raw.columns;
      this.kind = raw.kind;
      this.width = WIDTH[raw.kind] ?? 2;
      this.all = Array.from({ length: this.count }, (_, row) => row);
      this.apart = this.all.map((row) => this._apart(row));
      this.lower = raw.texts.map((text) => text.toLowerCase());
    }

    text(place) {
      return this.raw.texts[place] ?? "";
    }

    query(row) {
      return this.text(this.raw.query[row]);
    }

    image(row) {
      return this.images[this.raw.image[row]] ?? null;
    }

    score(column, row) {
      return this.columns[column].score[row];
    }

    // [{ text, value, right, image }], the best first; null where the run has no record of the item.
    answers(column, row) {
      const flat = this.columns[column].top[row];
      if (!flat) return null;
      const found = [];
      for (let at = 0; at < flat.length; at += this.width) {
        const place = flat[at];
        const picture = this.raw.pictures ? (this.images[this.raw.pictures[place]] ?? null) : undefined;
        const right = this.width === 3 ? flat[at + 2] === 1 : this.isReference(row, place);
        found.push({ place, text: this.text(place), value: flat[at + 1], right, partly: right && this.isRare(row, place), image: picture });
      }
      return found;
    }

    // [{ text, count }] of an item, the most common first.
    references(row) {
      const flat = this.raw.references[row];
      const found = [];
      for (let at = 0; at < flat.length; at += 2) found.push({ text: this.text(flat[at]), count: flat[at + 1] });
      return found;
    }

    // A reference that few people gave: by the official rule four of ten make an answer wholly right.
    isRare(row, place) {
      if (this.kind !== "vqa") return false;
      const flat = this.raw.references[row];
      let total = 0;
      let own = 0;
      for (let at = 0; at < flat.length; at += 2) {
        total += flat[at + 1];
        if (flat[at] === place) own = flat[at + 1];
      }
      return total >= 10 && own < 4;
    }

    isReference(row, place) {
      const flat = this.raw.references[row];
      for (let at = 0; at < flat.length; at += 2) if (flat[at] === place) return true;
      return false;
    }

    confidence(column, row) {
      return this.columns[column].top[row]?.[1] ?? null;
    }

    predicted(column, row) {
      return this.columns[column].top[row]?.[0] ?? -1;
    }

    // right, partly, wrong; "none" without a reference, "missing" without a record.
    outcome(column, row) {
      const score = this.score(column, row);
      if (score === null) return "missing";
      if (score < 0) return "none";
      return score >= 0.9995 ? "right" : score > 0 ? "partly" : "wrong";
    }

    // Of a retrieval: where the best right item stands.
    rank(column, row) {
      const rank = this.columns[column].rank?.[row] ?? 0;
      return [[0, ""], [1, "1"], [5, "2 to 5"], [10, "6 to 10"]].find(([most]) => rank <= most)?.[1] ?? "over 10";
    }

    // Which of two runs got it right: first, second, both, neither; "" where that can't be said.
    pair(first, second, row) {
      const one = this.score(first, row);
      const other = this.score(second, row);
      if (one === null || other === null || one < 0 || other < 0) return "";
      if (one >= RIGHT) return other >= RIGHT ? "both" : "first";
      return other >= RIGHT ? "second" : "neither";
    }

    differs(first, second, row) {
      const one = this.predicted(first, row);
      const other = this.predicted(second, row);
      return one >= 0 && other >= 0 && one !== other;
    }

    // Whether an item passes; `but` leaves one condition out, so that its choices can be counted.
    passes(row, state, but) {
      const { a, b } = state;
      if (but !== "outcome" && state.outcome && this.outcome(a, row) !== state.outcome) return false;
      if (but !== "pair" && state.pair && b >= 0) {
        const fits = state.pair === "differs" ? this.differs(a, b, row) : this.pair(a, b, row) === state.pair;
        if (!fits) return false;
      }
      for (const name in state.groups) {
        const wanted = state.groups[name];
        if (but !== `group:${name}` && wanted && this.text(this.raw.groups[name]?.[row]) !== wanted) return false;
      }
      if (but !== "predicted" && state.predicted && this.text(this.predicted(a, row)) !== state.predicted) return false;
      if (but !== "rank" && state.rank && this.rank(a, row) !== state.rank) return false;
      if (but !== "confidence" && (state.from > 0 || state.to < 1)) {
        const found = this.confidence(a, row);
        if (found === null || found < state.from || (found > state.to && state.to < 1)) return false;
      }
      return but === "words" || this.matches(row, state);
    }

    matches(row, { words, a, b }) {
      if (!words) return true;
      const places = [this.raw.query[row], this.predicted(a, row), b >= 0 ? this.predicted(b, row) : -1];
      const flat = this.raw.references[row];
      for (let at = 0; at < flat.length; at += 2) places.push(flat[at]);
      const seen = `${this.raw.ids[row].toLowerCase()} ${places.map((place) => this.lower[place] ?? "").join(" ")}`;
      return words.every((word) => seen.includes(word));
    }

    filtered(state) {
      return this.all.filter((row) => this.passes(row, state));
    }

    // How many items each value of `of(row)` has among those that pass the other conditions.
    counts(state, but, of) {
      const found = new Map();
      for (const row of this.all) {
        if (!this.passes(row, state, but)) continue;
        for (const value of [of(row)].flat()) found.set(value, (found.get(value) ?? 0) + 1);
      }
      return found;
    }

    sorted(rows, state) {
      const key = this._key(state);
      if (!key) return rows;
      const keyed = rows.map((row) => [key(row), row]);
      // among equals those with an image first: there is more to see
      const blind = (row) => (this.raw.image[row] < 0 ? 1 : 0);
      keyed.sort(([key, row], [otherKey, other]) => (key === otherKey ? blind(row) - blind(other) || row - other : key - otherKey));
      return keyed.map(([, row]) => row);
    }

    _key({ sort, a, b }) {
      const confidence = (row) => this.confidence(a, row);
      const score = (row) => {
        const found = this.score(a, row);
        return found === null || found < 0 ? null : found;
      };
      const last = (value) => (value === null ? Infinity : value); // what is not there comes last, whichever the order
      return {
        order: null,
        mistakes: (row) => (score(row) === null ? 4 : score(row) < RIGHT ? -(confidence(row) ?? 0) : 1 + last(confidence(row))),
        confident: (row) => (confidence(row) === null ? Infinity : -confidence(row)),
        unsure: (row) => last(confidence(row)),
        worst: (row) => last(score(row)),
        best: (row) => (score(row) === null ? Infinity : -score(row)),
        apart: (row) => {
          const gap = b >= 0 && this.pair(a, b, row) ? this.score(a, row) - this.score(b, row) : 0;
          return -10 * Math.abs(gap) - this.apart[row] - (b >= 0 && this.differs(a, b, row) ? 0.01 : 0);
        },
      }[sort];
    }

    // How far apart all runs are; baselines count where there is but one run.
    _apart(row) {
      const own = this.columns.filter((column) => !column.baseline);
      const scores = (own.length > 1 ? own : this.columns).map((column) => column.score[row]).filter((score) => score !== null && score >= 0);
      return scores.length > 1 ? Math.max(...scores) - Math.min(...scores) : 0;
    }

    // Mean score over some items, and over how many it was taken.
    mean(column, rows) {
      const scores = rows.map((row) => this.score(column, row)).filter((score) => score !== null && score >= 0);
      return { n: scores.length, mean: scores.reduce((sum, score) => sum + score, 0) / scores.length };
    }
  }

  mmdl.PredictionSet = PredictionSet;
})();
