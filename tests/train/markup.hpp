// A strict reader of the pages' markup: what XML asks of a document (every tag closed in order, every
// attribute quoted and there once, every & an entity), with raw text in <style> and <script>. Depends on the
// standard library. Invariant: error() is empty only if the whole text was read.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace markup {

struct Element {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes{};  // entities as they stand
  std::string text{};                                             // all text inside, nested included

  std::string attribute(std::string_view wanted) const {
    for (const auto& [key, value] : attributes)
      if (key == wanted) return value;
    return {};
  }
  bool has_class(std::string_view wanted) const {
    return (" " + attribute("class") + " ").find(" " + std::string(wanted) + " ") != std::string::npos;
  }
};

class Page {
 public:
  explicit Page(std::string_view text) : rest_(text) { read(); }
  const std::string& error() const { return error_; }
  const std::vector<Element>& elements() const { return all_; }
  std::vector<const Element*> of(std::string_view name, std::string_view class_name = {}) const {
    std::vector<const Element*> found;
    for (const Element& e : all_)
      if (e.name == name && (class_name.empty() || e.has_class(class_name))) found.push_back(&e);
    return found;
  }

 private:
  void fail(const std::string& what) {
    if (error_.empty()) error_ = what + " before: " + std::string(rest_.substr(0, 60));
  }
  bool take(std::string_view s) {
    if (!rest_.starts_with(s)) return false;
    rest_.remove_prefix(s.size());
    return true;
  }
  std::string_view until(std::string_view stops) {
    const std::string_view got = rest_.substr(0, rest_.find_first_of(stops));
    rest_.remove_prefix(got.size());
    return got;
  }
  void check_entities(std::string_view s) {
    for (std::size_t at = s.find('&'); at != std::string_view::npos; at = s.find('&', at + 1)) {
      const std::string_view tail = s.substr(at);
      bool known = false;
      for (const char* entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
        known |= tail.starts_with(entity);
      if (!known) fail("a lone &");
    }
  }
  void text() {
    const std::string_view got = until("<");
    check_entities(got);
    if (got.find('>') != std::string_view::npos) fail("a lone >");
    if (open_.empty() && got.find_first_not_of(" \n") != std::string_view::npos) fail("text outside");
    for (const std::size_t i : open_) all_[i].text += got;
  }
  void close() {
    const std::string name(until(" >"));
    if (!take(">")) return fail("an end tag without >");
    if (open_.empty() || all_[open_.back()].name != name) return fail("</" + name + "> closes nothing");
    open_.pop_back();
  }
  void attributes(Element& e) {
    while (error_.empty() && (take(" ") || take("\n"))) {
      std::string name(until("= />"));
      if (name.empty() ||
          !std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; }))
        return fail("no attribute's name");
      if (!e.attribute(name).empty()) fail("attribute " + name + " twice");
      if (!take("=\"")) return fail("attribute " + name + " without quoted value");
      std::string value(until("\"<"));
      if (!take("\"")) return fail("attribute " + name + " not closed");
      check_entities(value);
      e.attributes.emplace_back(std::move(name), std::move(value));
    }
  }
  void open() {
    Element e{std::string(until(" />\n"))};
    const std::string name = e.name;
    if (name.empty()) return fail("an empty tag");
    attributes(e);
    const bool empty = take("/");
    if (!take(">")) return fail("a tag without >");
    if (open_.empty() && !all_.empty()) fail("a second root");
    all_.push_back(std::move(e));
    if (empty) return;
    open_.push_back(all_.size() - 1);
    if (name != "style" && name != "script") return;
    all_.back().text = std::string(until("<"));
    if (all_.back().text.find('&') != std::string::npos) fail("& in raw text");
  }
  void read() {
    if (!take("<!DOCTYPE html>")) return fail("no document type");
    while (!rest_.empty() && error_.empty()) {
      text();
      if (take("</"))
        close();
      else if (take("<"))
        open();
    }
    if (!open_.empty()) fail("<" + all_[open_.back()].name + "> is never closed");
    if (all_.empty() || all_.front().name != "html") fail("no <html>");
  }

  std::string_view rest_;
  std::string error_;
  std::vector<Element> all_;
  std::vector<std::size_t> open_;
};

}  // namespace markup
