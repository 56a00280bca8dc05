#include <uvlet/list.hpp>

#include <doctest/doctest.h>

struct Item : uvlet::Link {};

TEST_CASE("items come out in the order in which they went in") {
  uvlet::List<Item> list;
  Item a, b, c;
  list.push_back(&b);
  list.push_back(&c);
  list.push_front(&a);
  CHECK(list.front() == &a);
  CHECK(list.back() == &c);
  CHECK(list.pop_front() == &a);
  CHECK(list.pop_front() == &b);
  CHECK(list.pop_front() == &c);
  CHECK(list.empty());
}

TEST_CASE("an item that is destroyed leaves its list") {
  uvlet::List<Item> list;
  Item a;
  {
    Item b;
    list.push_back(&b);
    list.push_back(&a);
  }
  CHECK(list.front() == &a);
}

TEST_CASE("a list that is destroyed leaves its items unlinked") {
  Item a;
  {
    uvlet::List<Item> list;
    list.push_back(&a);
  }
  CHECK_FALSE(a.linked());
}
